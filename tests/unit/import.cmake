foreach(name test_onnx_cases test_onnx_damage)
  sal_unit_test(${name} MODULES base graph import SOURCES unit/${name}.c ${SAL_GRAPH_SUPPORT})
endforeach()
