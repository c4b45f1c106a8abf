#!/bin/sh
# Every method at work: sh recipes/real-methods/run.sh DATA [SEEDS]
# DATA holds clean/ and noise/ (with train, valid, test) and pairs/vbdemand_test/. Everything lands in the current
# folder; started again, it goes on where it stopped. Two runs at a time, one thread each.
set -eu
data=$1
seeds=${2:-0}
here=$(dirname "$0")
sh "$here/../real-networks/prepare.sh" "$data"

train() { # FILE SEED LINES on standard input
    xargs -P 2 -L 1 sh -c "sedistill train $here/../\$0.yaml seed=\$1 > \$(basename \$0)-\$1.log 2>&1"
}
echo "real-small/teacher 0
real-networks/wave-u-net 0
real-methods/manner-teacher 0" | train
for band in 0 1 2 3; do echo "real-methods/band-$band 0"; done | train

conv_tasnet="alone alone-400 si-snr waveform-l1 waveform-l2 l1 l2 l2-dispatch complex-l1 complex-l2 dfkd dfkd-dispatch-mssp
kl kl-normalised kl-generalised kl-generalised-dispatch subband attention gram gram-batch layer-attention two-step-gram
two-step-si-snr kdrl-si-snr"
manner="manner-alone manner-output manner-attention manner-multi-view manner-multi-view-output"
wave_u_net="wave-u-net-alone wave-u-net-fixed wave-u-net-A wave-u-net-B wave-u-net-C"
for seed in $seeds; do
    for name in $conv_tasnet $manner $wave_u_net; do echo "real-methods/$name $seed"; done
done | train

students() { for name in $1; do echo "runs/real-methods/$name/seed-$seed/student"; done; }
for seed in $seeds; do
    evaluate() { # FAMILY TEACHER STUDENTS
        [ -e "evaluations/$1/seed-$seed" ] || sedistill evaluate "$2" $(students "$3") --on sets/test \
            --on "$data/pairs/vbdemand_test" --metrics pesq_wb,stoi,si_sdr -o "evaluations/$1/seed-$seed"
    }
    evaluate conv-tasnet runs/real-small/teacher/seed-0/student "$conv_tasnet"
    evaluate manner runs/real-methods/manner-teacher/seed-0/student "$manner"
    evaluate wave-u-net runs/real-networks/wave-u-net/seed-0/student "$wave_u_net"
done
python "$here/table.py" runs/real-methods evaluations
