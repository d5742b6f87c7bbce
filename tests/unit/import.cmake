foreach(name test_onnx_cases test_onnx_damage)
  sal_unit_test(${name} LABELS import MODULES base graph import SUPPORT graph_builder naive_graph)
endforeach()
