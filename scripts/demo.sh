#!/usr/bin/env bash
# demo.sh [BUILD]: from a fresh clone to pictures. Installs what is missing, builds salmap in BUILD
# (default: build/ of the repository) and explains the demo models' ages of the sample scales.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build}
out=$root/out/demo

"$root/scripts/setup.sh"
"$root/scripts/build.sh" "$build"

for model in "$root"/data/models/*.onnx; do
    name=$(basename "$model" .onnx)
    name=${name#scale_age_}
    echo
    echo "== ${model#"$root"/}"
    "$build/salmap" explain "$model" "$root"/data/scales/*.{png,jpg} -o "$out/$name" --figure
done

echo
echo "== the honest network again, as the Keras file data/models/scale_age_honest.keras"
"$build/salmap" explain "$root/data/models/scale_age_honest.keras" "$root"/data/scales/scale_0[0-3].png -o "$out/honest_keras" --figure

echo
echo "The pictures are in"
for folder in "$out"/*/; do
    echo "  $folder  ($(find "$folder" -name '*.png' | wc -l) pictures)"
done
echo "For each scale there are NAME.overlay.png (what the network looked at, over the scale), NAME.saliency.png"
echo "(the map alone), NAME.figure.png (both beside the scale) and NAME.npy (the numbers). Look first at"
for folder in "$out"/*/; do
    find "$folder" -name '*.figure.png' | sort | head -n 1 | sed 's/^/  /'
done
