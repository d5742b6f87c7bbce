#!/usr/bin/env bash
# loaders.sh ENVIRONMENT SOURCE LIBRARY SALMAP: check_loaders.py with the libraries of keras_environment.sh and Debian's torch; a
# skip where there are none.
set -euo pipefail

environment=$1
source=$2
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$source/scripts/check_loaders.py" --library "$3" --salmap "$4" --keras "$environment/bin/python" \
    --torch /usr/bin/python3 --timm "$environment/timm" --table
