/* The two ends of cancelling transposes: the picture input, and a flatten before a dense layer. */
#ifndef SAL_GRAPH_CANCEL_H
#define SAL_GRAPH_CANCEL_H

#include "graph/rewrite.h"

/* Turns an input of (1, H, W, C) into (1, C, H, W) with a transpose behind it, where the file does the
 * opposite before its first layer or flattens the picture at once. */
sal_status sal_cancel_turn_input(sal_rewrite *rw);
/* Dense layer `i` behind transpose and reshape to (1, F): permutes its weights instead. */
sal_status sal_cancel_absorb_flatten(sal_rewrite *rw, int i);

#endif
