#!/usr/bin/env python3
"""scripts/kernel_resources.py catches what it is there for; no compiler is needed."""
import pathlib
import shutil
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import kernel_resources as kr

REPORT = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z1aIfEvPT_' for 'sm_75'
ptxas info    : Function properties for _Z1aIfEvPT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 54 registers, used 1 barriers, 1024 bytes smem, 452 bytes cmem[0]
ptxas info    : Compiling entry function '_Z1bPf' for 'sm_75'
ptxas info    : Function properties for _Z1bPf
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 255 registers, used 0 barriers, 8 bytes cumulative stack size
ptxas info    : Function properties for _Z6calledPf
    24 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
"""


class Report(unittest.TestCase):
    def test_registers_shared_memory_spills_and_stacks_are_read(self):
        found = kr.parse(REPORT)
        self.assertEqual(found["_Z1aIfEvPT_"], {"local": 0, "spills": 0, "registers": 54, "shared": 1024})
        self.assertEqual(found["_Z1bPf"], {"local": 32, "spills": 16, "registers": 255, "shared": 0})

    def test_names_are_short(self):
        self.assertEqual(kr.short_name("void k<__half, 4>(__half*, long)"), "k<half;4>")
        self.assertEqual(kr.short_name("void k<__nv_bfloat16, (kind)2>(float*)"), "k<bfloat16;2>")
        self.assertEqual(kr.short_name("(anonymous namespace)::fill(float*, unsigned int)"), "fill")

    def test_a_kernel_without_launch_bounds_is_found(self):
        text = """static __global__ void __launch_bounds__(256)
            fine(float *p) {}
            template <class T> __global__ void lacking(T *p) {} /* __global__ void remark() */"""
        self.assertEqual(kr.missing_bounds(text), ["__global__ void lacking"])


class Table(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        committed = kr.TABLE
        self.addCleanup(setattr, kr, "TABLE", committed)
        kr.TABLE = pathlib.Path(folder.name) / "table.csv"
        self.compiler = types.SimpleNamespace(version="13.0", build="V13.0.88", architectures=["75", "90"])
        self.rows = {("a.cu", "k<half;4>"): {"shared": 16, "75": 30, "90": 32}}
        kr.write_table(self.compiler, self.rows)

    def problems(self, tolerance=4, **changes):
        rows = {key: {**row, **changes} for key, row in self.rows.items()}
        return kr.compare(self.compiler, rows, tolerance)

    def test_the_table_agrees_with_what_it_was_written_from(self):
        self.assertEqual(self.problems(tolerance=0), [])

    def test_a_few_registers_more_are_tolerated_and_many_are_not(self):
        self.assertEqual(self.problems(**{"90": 36}), [])
        self.assertIn("37 registers, 32 in the table", self.problems(**{"90": 37})[0])
        self.assertEqual(len(self.problems(**{"75": 25})), 1)

    def test_shared_memory_must_be_the_same(self):
        self.assertEqual(len(self.problems(shared=17)), 1)

    def test_new_and_lost_kernels_are_told(self):
        problems = kr.compare(self.compiler, {("a.cu", "other"): {"shared": 0, "75": 1, "90": 1}}, 4)
        self.assertEqual(len(problems), 2)

    def test_another_compiler_is_held_to_the_kernels_alone(self):
        self.compiler.version = "12.9"
        self.assertEqual(self.problems(**{"90": 99}), [])
        self.assertEqual(len(kr.compare(self.compiler, {}, 4)), 1)

    def test_the_committed_table_has_every_kernel_file(self):
        kr.TABLE = kr.ROOT / "tests/gpuless/kernel_resources.csv"
        _, of, rows = kr.read_table()
        self.assertEqual({file for file, _ in rows}, {p.name for p in kr.KERNELS.glob("*.cu")})
        self.assertTrue(all(int(row[f"sm_{a}"]) > 0 for row in rows.values() for a in kr.ARCHITECTURES))
        self.assertEqual(kr.twins(rows), {"89": "sm_86"})
        # Of the nvcc that wrote it. Kernels that changed want --update, or each run compiles for all.
        self.assertEqual(of, kr.digest("V13.0.88", rows))

    def left(self, of, build, rows):
        compiler = types.SimpleNamespace(build=build, architectures=list(kr.ARCHITECTURES))
        kr.Compiler.leave_out(compiler, of, rows)
        return compiler.architectures

    def test_two_architectures_stand_for_all_only_where_nothing_has_changed(self):
        rows = {("a.cu", "one"): {"shared": "0", **{f"sm_{a}": a for a in kr.ARCHITECTURES}}}
        rows["a.cu", "one"]["sm_89"] = "86"
        of, most = kr.digest("V13.0.88", rows), [a for a in kr.ARCHITECTURES if a != "89"]
        self.assertEqual(self.left(of, "V13.0.88", rows), ["75", "90"])
        self.assertEqual(self.left(of, "V13.0.89", rows), most)
        rows["a.cu", "one"]["sm_80"] = "81"
        self.assertEqual(self.left(of, "V13.0.88", rows), most)

    def test_a_kernel_s_code_changes_the_digest_and_a_comment_does_not(self):
        self.addCleanup(setattr, kr, "KERNELS", kr.KERNELS)
        with tempfile.TemporaryDirectory() as folder:
            before = kr.digest("V13.0.88", {})
            kr.KERNELS = shutil.copytree(kr.KERNELS, pathlib.Path(folder) / "kernels")
            source = kr.KERNELS / "reduce.cu"
            source.write_text("/* one more */" + source.read_text())
            self.assertEqual(kr.digest("V13.0.88", {}), before)
            source.write_text(source.read_text() + "static int more;\n")
            self.assertNotEqual(kr.digest("V13.0.88", {}), before)

    def test_of_the_public_header_enumerations_are_seen(self):
        header = pathlib.Path("include/salmap/salmap.h")
        text = "typedef enum sal_a { SAL_A = 1 } sal_a; /* of it */ typedef struct s { int a; } s;"
        self.assertEqual(kr.what_kernels_see(header, text), "typedef enum sal_a { SAL_A = 1 } sal_a;")
        whole = kr.what_kernels_see(header, (kr.ROOT / header).read_text())
        self.assertRegex(whole, r"typedef struct sal_placement { .* } sal_placement;")
        self.assertNotIn("sal_explain_options", whole)
        self.assertIn("struct s", kr.what_kernels_see(pathlib.Path("cuda/kernels/view.cuh"), text))

    def test_one_register_more_makes_an_architecture_another(self):
        rows = {name: {f"sm_{a}": str(registers + k) for k, a in enumerate(kr.ARCHITECTURES)}
                for name, registers in (("one", 30), ("two", 40))}
        rows["two"]["sm_89"] = rows["two"]["sm_86"]
        self.assertEqual(kr.twins(rows), {})
        rows["one"]["sm_89"] = rows["one"]["sm_86"]
        self.assertEqual(kr.twins(rows), {"89": "sm_86"})


if __name__ == "__main__":
    unittest.main()
