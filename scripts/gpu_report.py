#!/usr/bin/env python3
"""The checks and timings of gpu_check.sh, which has what they need; writes the report.

Every part is run and told of even where one before it failed, and is in the file as far as it has come. What only
asks whether the results are right runs side by side; what takes times runs alone, after it. A check that could not be
made is "left out", with the reason: that is not a pass.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import gpu_right
import gpu_speed
from gpu_part import Report, end_all, end_for_good

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="a build folder, or an unpacked bundle")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "data", help="with models/ and scales/")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--python", action="append", default=[], help="a Python with PyTorch for this GPU")
    parser.add_argument("--minutes", type=float, help="what has not begun by then is left out")
    parser.add_argument("--jobs", type=int, default=1, help="checks that run side by side")
    parser.add_argument("--quick", action="store_true", help="no networks of PyTorch")
    parser.add_argument("--stand-in", choices=("cpu", "rehearsal"),
                        help="small sizes; cpu: in the GPU's place; rehearsal: the programs emulate one")
    args = parser.parse_args()
    args.programs = args.programs.resolve()
    report = Report(args)
    with tempfile.TemporaryDirectory() as folder:

        def stop(number, _):
            signal.alarm(20)  # whatever goes wrong here, it ends
            try:
                end_for_good()
                report.write()
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os._exit(128 + number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        args.folder = pathlib.Path(folder)
        machine = report.part("Machine")
        side_by_side = [(report.part(title), function) for title, function in gpu_right.PARTS]
        alone = [(report.part(title), function) for title, function in gpu_speed.PARTS]
        prepared = gpu_right.Prepared(report)
        machine.work(gpu_right.machine)
        with concurrent.futures.ThreadPoolExecutor(len(side_by_side)) as pool:
            for job in [pool.submit(part.work, function, prepared) for part, function in side_by_side]:
                job.result()
        # What PyTorch has not written by now would disturb.
        prepared.pool.shutdown(wait=False, cancel_futures=True)
        end_all()
        for part, function in alone:
            part.work(function, prepared)
        prepared.close()
    print(f"-> {args.output}")
    return 1 if report.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
