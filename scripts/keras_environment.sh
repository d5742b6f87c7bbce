#!/usr/bin/env bash
# keras_environment.sh DIR: a Python environment in DIR with the Kerases that salmap is checked against: Keras 3 on TensorFlow, and
# Keras 2 (tf_keras) beside it, from PyPI, with OpenCV for check_loaders.py. Done at once where it is there. DIR/bin/python then
# runs check_keras_applications.py, check_loaders.py, make_fish_networks.py, make_demo_keras.py and
# make_keras_vis_references.py. DIR/timm has timm, for Debian's Python and its torch.
set -euo pipefail

directory=${1:?usage: keras_environment.sh DIR}
packages=(keras==3.15.1 tensorflow-cpu==2.21.0 tf-keras-vis==0.8.7 h5py==3.14.0 onnx==1.23.2
    pillow==13.0.0 opencv-python-headless==4.14.0.94)
# It asks for the package tensorflow, which holds the same as tensorflow-cpu and 600 MB for GPUs.
alone=(tf_keras==2.21.0)
# Beside Debian's torch, which is what they would ask for.
timm=(timm==1.0.31 huggingface_hub==2.4.0 safetensors==0.8.0)
stamp=$directory/.packages
if [[ -f $stamp && $(cat "$stamp") == "${packages[*]} ${alone[*]} ${timm[*]}" ]]; then
    exit 0
fi
echo "Making a Python environment in $directory: ${packages[*]} ${alone[*]} ${timm[*]} from PyPI, 1.2 GB ..."
# Debian's: whatever else comes first on the PATH may not have the module.
/usr/bin/python3 -m venv --clear "$directory"
pip=("$directory/bin/pip" install --quiet --disable-pip-version-check --retries 5 --no-compile)
"${pip[@]}" "${packages[@]}"
"${pip[@]}" --no-deps "${alone[@]}"
"${pip[@]}" --no-deps --target "$directory/timm" "${timm[@]}"
echo "${packages[*]} ${alone[*]} ${timm[*]}" > "$stamp"
