#!/bin/sh
# The whole small comparison: sh recipes/real-small/run.sh DATA [SEEDS]
# DATA holds clean/, noise/ (with train, valid, test) and pairs/vbdemand_test/. Everything lands in the current
# folder; started again, it goes on where it stopped. Two runs at a time, one thread each.
set -eu
data=$1
seeds=${2:-"0 1 2"}
here=$(dirname "$0")
snr="--set snr_db_low=-5 --set snr_db_high=15"

[ -e corpus ] || sedistill prepare --clean "$data/clean" --noise "$data/noise" -o corpus
[ -e sets/train ] || sedistill mix corpus --split train --count 2400 -o sets/train $snr --set clip_seconds=2
[ -e sets/valid ] || sedistill mix corpus --split valid --count 80 -o sets/valid $snr
[ -e sets/test ] || sedistill mix corpus --split test --count 120 -o sets/test $snr
sedistill train "$here/teacher.yaml"

students="alone si-snr-target l2 l2-x1.2 l2-dispatch dfkd dfkd-dispatch dfkd-dispatch-mssp
dfkd-dispatch-mssp-descending complex complex-keep-0.5 complex-random-0.5 complex-clean"
for seed in $seeds; do
    for student in $students; do echo "$student $seed"; done
done | xargs -P 2 -L 1 sh -c "sedistill train $here/\$0.yaml seed=\$1 > \$0-\$1.log 2>&1"

for seed in $seeds; do
    [ -e "evaluations/seed-$seed" ] || sedistill evaluate runs/real-small/teacher/seed-0/student \
        $(for s in $students; do echo "runs/real-small/$s/seed-$seed/student"; done) \
        --on sets/test --on "$data/pairs/vbdemand_test" --metrics pesq_wb,stoi,si_sdr -o "evaluations/seed-$seed"
done
python "$here/table.py" runs/real-small evaluations
