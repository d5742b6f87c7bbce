#!/usr/bin/env bash
# keras_applications.sh ENVIRONMENT SOURCE ARGUMENT...: check_keras_applications.py with the Python of keras_environment.sh;
# a skip where it is not there.
set -euo pipefail

python=$1/bin/python
source=$2
shift 2
if [[ ! -x $python ]]; then
    echo "there is no $python: scripts/keras_environment.sh makes it"
    exit 77
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$source/scripts/check_keras_applications.py" "$@"
