#!/usr/bin/env python3
"""Corpora as zip archives.

corpus.py unpack ARCHIVE FOLDER         where there is no archive, the folder is empty
corpus.py pack ARCHIVE FOLDER BYTES     the shortest files, as many as an archive of so many bytes holds; equal files make
                                        equal archives
"""

import io
import pathlib
import sys
import zipfile


def pack(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            archive.writestr(zipfile.ZipInfo(path.name[:12]), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def main():
    what, archive, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    if what == "unpack":
        folder.mkdir(parents=True, exist_ok=True)
        if archive.exists():
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder)
        return
    files = sorted(folder.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    low, high = 0, len(files)
    while low < high:
        middle = (low + high + 1) // 2
        if len(pack(files[:middle])) <= int(sys.argv[4]):
            low = middle
        else:
            high = middle - 1
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(pack(files[:low]))
    print(f"{archive}: {low} of {len(files)} files, {archive.stat().st_size} bytes")


if __name__ == "__main__":
    main()
