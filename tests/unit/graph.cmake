# The reference interpreter of graphs and small graphs to feed it; other modules' tests may use both.
set(SAL_GRAPH_SUPPORT unit/graph_builder.c unit/naive_graph.c unit/naive_rules.c unit/naive_window.c)
foreach(name test_graph test_graph_shapes test_graph_naive test_passes test_passes_layout test_passes_models)
  sal_unit_test(${name} MODULES base graph SOURCES unit/${name}.c ${SAL_GRAPH_SUPPORT})
endforeach()
