#!/bin/sh
# The whole tool once, offline, on the built-in digits: train, encode, traverse, edit, eval.
# Everything it writes is under demo/.
set -eu
: "${PYTHON:=python3}"
mkdir -p demo/images
cd demo
imaetool="$PYTHON -m imaetool"

echo "== train"
$imaetool train

echo "== 40 of the digits as PNG files, for the commands that read pictures"
$PYTHON - <<'EOF'
from PIL import Image
from sklearn.datasets import load_digits

for i, picture in enumerate(load_digits().images[:40]):
    Image.fromarray((picture * 255 / 16).astype("uint8")).save(f"images/{i:02d}.png")
EOF

echo "== encode"
$imaetool encode images -o codes.parquet
echo "== traverse"
$imaetool traverse --unit all --gif -o traverse.png
echo "== edit"
$imaetool edit images/00.png --unit 8 --value 2 --category 0 --compare -o edited.png
echo "== eval"
$imaetool eval --metric accuracy --metric information --metric reconstruction

echo
echo "The pictures:"
ls -d "$PWD"/runs/*/*.png "$PWD"/*.png "$PWD"/*.gif
