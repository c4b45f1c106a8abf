#!/bin/sh
# Corpus and sets of the short runs in the current folder: sh recipes/real-networks/prepare.sh DATA
set -eu
data=$1
snr="--set snr_db_low=-5 --set snr_db_high=15"
[ -e corpus ] || sedistill prepare --clean "$data/clean" --noise "$data/noise" -o corpus
[ -e sets/train ] || sedistill mix corpus --split train --count 2400 -o sets/train $snr --set clip_seconds=2
[ -e sets/valid ] || sedistill mix corpus --split valid --count 60 -o sets/valid $snr
[ -e sets/test ] || sedistill mix corpus --split test --count 60 -o sets/test $snr
