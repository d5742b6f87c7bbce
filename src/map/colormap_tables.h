/* The colour tables of colormap_tables.c, which scripts/make_colormaps.py writes. */
#ifndef SAL_MAP_COLORMAP_TABLES_H
#define SAL_MAP_COLORMAP_TABLES_H

#include <stdint.h>

extern const uint8_t sal_table_viridis[256][3];
extern const uint8_t sal_table_inferno[256][3];
extern const uint8_t sal_table_turbo[256][3];
extern const uint8_t sal_table_jet[256][3];
extern const uint8_t sal_table_gray[256][3];
extern const uint8_t sal_table_coolwarm[256][3];
extern const uint8_t sal_table_magma[256][3];
extern const uint8_t sal_table_cividis[256][3];
extern const uint8_t sal_table_rdbu[256][3];
extern const uint8_t sal_table_seismic[256][3];

#endif
