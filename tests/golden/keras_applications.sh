#!/usr/bin/env bash
# keras_applications.sh SOURCE ARGUMENT...: check_keras_applications.py with the Python that SAL_KERAS_PYTHON names; a skip elsewhere.
set -euo pipefail

if [[ -z ${SAL_KERAS_PYTHON:-} ]]; then
    echo "SAL_KERAS_PYTHON names no Python with Keras (scripts/keras_environment.sh makes one)"
    exit 77
fi
source=$1
shift
export PYTHONDONTWRITEBYTECODE=1
exec "$SAL_KERAS_PYTHON" "$source/scripts/check_keras_applications.py" "$@"
