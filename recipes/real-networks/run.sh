#!/bin/sh
# Every network trained for a short while on real recordings: sh recipes/real-networks/run.sh DATA
# DATA holds clean/, noise/ and pairs/vbdemand_test/. Everything lands in the current folder; started again, it goes on
# where it stopped. Two runs at a time, one thread each.
set -eu
data=$1
here=$(dirname "$0")
sh "$here/prepare.sh" "$data"
names="conv-tasnet dccrn dptnet gtcrn manner wave-u-net demucs clean-unet e3net tstnn"
printf '%s\n' $names | xargs -P 2 -I NAME sh -c "sedistill train $here/NAME.yaml > NAME.log 2>&1"
[ -e evaluations/networks ] || sedistill evaluate $(for n in $names; do echo "runs/real-networks/$n/seed-0/student"; done) \
    --on sets/test --on "$data/pairs/vbdemand_test" --metrics pesq_wb,stoi,si_sdr -o evaluations/networks
python "$here/table.py" evaluations/networks
