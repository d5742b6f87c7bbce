/* What a program asks of its device, and what it makes of the answers: memory that is not there, weights, the order of
 * a pass, passes that are run again. */
#include "unit/at_end.h"
#include "unit/fake_device.h"
#include "unit/graph_builder.h"
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_graph graph;

/* Conv, relu, mean, flatten, dense: nothing is fused without the passes. */
static void make_graph(void)
{
    fake_reset();
    int x = build_conv(&graph, build_input(&graph, 2, 64, 64), 3, 3, 1, 1, 1);
    x = build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 2)), 4);
}

static void clear_graph(void)
{
    sal_graph_clear(&graph);
    AT_END(fake.opened == 0 && fake.prepared == 0 && fake.allocated == 0);
}

TestSuite(program_device, .init = make_graph, .fini = clear_graph);

static sal_program *open_graph(sal_program_options options)
{
    return net_open(&graph, &options);
}

static void expect_refused(sal_program_options options, sal_status status, const char *text)
{
    sal_program *p;
    sal_graph copy;
    cr_assert_eq(sal_graph_copy(&copy, &graph), SAL_OK);
    cr_expect_eq(sal_program_open(&p, &copy, &options), status, "%s", sal_last_error());
    cr_expect_null(p);
    cr_expect_str_eq(sal_last_error(), text);
    sal_graph_clear(&copy);
}

/* ---- Opening ------------------------------------------------------------ */

Test(program_device, gets_the_options_and_a_batch_of_8)
{
    sal_program *p =
        open_graph((sal_program_options){.device = "3", .threads = 5, .exact = 1, .precision = SAL_PRECISION_TF32});
    cr_expect(fake.options.threads == 5 && fake.options.exact == 1 && fake.options.precision == SAL_PRECISION_TF32 &&
              !fake.options.described);
    cr_expect_str_eq(fake.spec, "3");
    cr_expect_eq(p->batch, 8);
    cr_expect_eq(p->asked_batch, 0);
    cr_expect_eq(fake.asked_bytes, p->arena_bytes);
    sal_program_close(p);
}

Test(program_device, takes_batches_from_1_to_65536)
{
    const sal_program_options most = {.batch = 65536, .described = "{}", .max_memory = (uint64_t)1 << 60};
    sal_program *p = open_graph(most);
    cr_expect_eq(p->batch, 65536);
    sal_program_close(p);
    expect_refused((sal_program_options){.batch = 65537}, SAL_ERROR_ARGUMENT,
                   "batch 65537 must lie in 0 to 65536, threads 0 must not be negative");
    expect_refused((sal_program_options){.batch = -1}, SAL_ERROR_ARGUMENT,
                   "batch -1 must lie in 0 to 65536, threads 0 must not be negative");
    expect_refused((sal_program_options){.threads = -1}, SAL_ERROR_ARGUMENT,
                   "batch 0 must lie in 0 to 65536, threads -1 must not be negative");
    p = open_graph((sal_program_options){.batch = 1, .threads = 0});
    cr_expect_eq(p->batch, 1);
    sal_program_close(p);
}

Test(program_device, keeps_only_weights_that_steps_borrow_and_counts_all)
{
    fake.scratch_bytes = 777;
    sal_program *p = open_graph((sal_program_options){.batch = 2});
    /* The fake device takes 1000 bytes for a convolution; backward steps of dense layers borrow. */
    size_t dense = 0;
    for (size_t i = 0; i < p->graph.count; i++) {
        const sal_node *n = &p->graph.nodes[i];
        cr_expect_eq(n->weight != NULL, n->op == SAL_OP_DENSE, "node %zu", i);
        if (n->op == SAL_OP_DENSE)
            dense += sizeof(float) * (n->weight_count + n->bias_count);
    }
    cr_expect_eq(dense, sizeof(float) * (3 * 4 + 4));
    cr_expect_eq(p->weight_bytes, 1000 + dense);
    cr_expect_eq(p->scratch_bytes, 777);
    cr_expect_eq(fake.prepared, (int)p->step_count);
    sal_program_close(p);
}

Test(program_device, keeps_the_weights_that_its_first_step_borrows)
{
    fake.convs_borrow = 1;
    sal_program *p = open_graph((sal_program_options){.batch = 2});
    cr_expect_eq(p->steps[0].kind, SAL_STEP_CONV);
    cr_expect_not_null(p->steps[0].node->weight);
    sal_program_close(p);
}

Test(program_device, names_the_step_that_it_lacks)
{
    fake.backend.rows[SAL_STEP_REDUCE_MEAN_BACKWARD] = NULL;
    free(graph.nodes[3].name);
    graph.nodes[3].name = strdup("pool_5");
    expect_refused((sal_program_options){0}, SAL_ERROR_UNSUPPORTED,
                   "node 'pool_5' (reduce_mean): the fake back end has no back mean");
}

static sal_status never_prepared(void **plan, sal_needs *needs, sal_device *device, const sal_step *step,
                                 const sal_value *values)
{
    (void)plan, (void)needs, (void)device, (void)step, (void)values;
    return sal_fail(SAL_ERROR_UNSUPPORTED, "too odd");
}

Test(program_device, names_the_step_that_cannot_be_prepared)
{
    const sal_step_row row = {never_prepared, fake.backend.rows[0]->run, fake.backend.rows[0]->release};
    fake.backend.rows[SAL_STEP_DENSE] = &row;
    free(graph.nodes[5].name);
    graph.nodes[5].name = strdup("fc");
    expect_refused((sal_program_options){0}, SAL_ERROR_UNSUPPORTED, "node 'fc' (dense): too odd");
}

/* ---- Memory ------------------------------------------------------------- */

static size_t arena_of(int64_t batch)
{
    sal_program *p = open_graph((sal_program_options){.batch = batch});
    const size_t bytes = p->arena_bytes;
    sal_program_close(p);
    return bytes;
}

static void expect_batch(sal_program_options options, int64_t batch)
{
    sal_program *p = open_graph(options);
    cr_expect_eq(p->batch, batch, "%ld pictures, expected %ld", (long)p->batch, (long)batch);
    cr_expect_leq(p->arena_bytes, options.max_memory ? options.max_memory : fake.free_bytes / 4 * 3);
    sal_program_close(p);
}

Test(program_device, batch_is_halved_until_it_fits_to_the_byte)
{
    for (int64_t batch = 8; batch > 1; batch /= 2) {
        const size_t need = arena_of(batch);
        expect_batch((sal_program_options){.max_memory = need}, batch);
        expect_batch((sal_program_options){.max_memory = need - 1}, batch / 2);
        expect_batch((sal_program_options){.batch = batch, .max_memory = need}, batch);
    }
}

Test(program_device, three_quarters_of_the_free_memory_are_taken_at_most)
{
    for (int64_t batch = 8; batch > 1; batch /= 2) {
        const size_t need = arena_of(batch), quarters = (need + 2) / 3 * 4;
        fake.free_bytes = quarters;
        expect_batch((sal_program_options){0}, batch);
        fake.free_bytes = quarters - 4;
        expect_batch((sal_program_options){0}, batch / 2);
        fake.free_bytes = (size_t)1 << 34;
    }
}

Test(program_device, too_little_memory_is_told_in_MiB)
{
    char text[200];
    fake.backend.chunks = 0;
    const size_t need = arena_of(64);
    cr_assert_gt(need, (size_t)3 << 20);
    snprintf(text, sizeof text, "a batch of 64 needs %d MiB, 2 MiB may be used: ask for a smaller batch",
             (int)(need / (1024 * 1024)));
    expect_refused((sal_program_options){.batch = 64, .max_memory = 3u * 1024 * 1024 - 1}, SAL_ERROR_MEMORY, text);
    expect_refused((sal_program_options){.batch = 2, .max_memory = 1000}, SAL_ERROR_MEMORY,
                   "a batch of 2 needs 0 MiB, 0 MiB may be used: ask for a smaller batch");
    expect_refused((sal_program_options){.batch = 1, .max_memory = 1000}, SAL_ERROR_MEMORY,
                   "a batch of 1 needs 0 MiB, 0 MiB may be used");
    expect_refused((sal_program_options){.max_memory = 1000}, SAL_ERROR_MEMORY,
                   "a batch of 1 needs 0 MiB, 0 MiB may be used");
}

Test(program_device, nothing_is_prepared_for_a_batch_whose_values_exceed_the_limit)
{
    sal_program *p = open_graph((sal_program_options){.batch = 4});
    const size_t peak = p->peak_bytes, weights = p->weight_bytes;
    const int steps = (int)p->step_count;
    sal_program_close(p);
    fake.prepares = 0;
    p = open_graph((sal_program_options){.max_memory = peak - 1});
    cr_expect_eq(p->batch, 2);
    cr_expect_eq(fake.prepares, steps, "%d steps were prepared, expected %d", fake.prepares, steps);
    sal_program_close(p);
    /* The values fit, with the scratch they do not: only preparing tells. */
    fake.scratch_bytes = peak;
    fake.prepares = 0;
    p = open_graph((sal_program_options){.max_memory = 2 * peak - 1});
    cr_expect_lt(p->batch, 4);
    cr_expect_geq(fake.prepares, 2 * steps, "%d steps were prepared", fake.prepares);
    cr_expect_eq(p->weight_bytes, weights, "%zu bytes of weights, expected %zu", p->weight_bytes, weights);
    sal_program_close(p);
}

/* Values leave half of the limit: nothing is expected to be prepared again, and weights may go at once. */
Test(program_device, weights_that_go_early_need_no_more_than_the_limit)
{
    const size_t limit = (size_t)64 << 20;
    const sal_program_options early = {.batch = 4, .max_memory = limit, .drop_early = 1};
    sal_program *p = open_graph(early);
    cr_expect_lt(p->arena_bytes, limit);
    cr_expect_eq(fake.first_has_weights, 0);
    const size_t peak = p->peak_bytes, steps = p->step_count;
    sal_program_close(p);
    for (int less = 0; less < 2; less++) {
        p = open_graph((sal_program_options){.batch = 4, .max_memory = 2 * peak - (size_t)less, .drop_early = 1});
        cr_expect_eq(fake.first_has_weights, less);
        sal_program_close(p);
    }
    fake.scratch_bytes = 2 * limit;
    expect_refused(early, SAL_ERROR_MEMORY, "a batch of 4 needs 128 MiB, 64 MiB may be used: ask for a smaller batch");
    /* A chosen batch is not halved: its weights are gone. */
    fake.prepares = 0;
    expect_refused((sal_program_options){.max_memory = limit, .drop_early = 1}, SAL_ERROR_MEMORY,
                   "a batch of 8 needs 128 MiB, 64 MiB may be used");
    cr_expect_eq(fake.prepares, (int)steps);
}

Test(program_device, weights_go_when_all_is_prepared)
{
    sal_program *p = open_graph((sal_program_options){.batch = 4});
    cr_expect_eq(fake.first_has_weights, 1);
    cr_expect_null(p->graph.nodes[fake.first_prepared - p->graph.nodes].weight);
    sal_program_close(p);
}

Test(program_device, memory_that_is_gone_after_all_halves_the_batch)
{
    fake_add_all();
    static const int64_t left[] = {6, 3, 2, 1};
    for (int failing = 0; failing < 4; failing++)
        for (int reserving = 0; reserving < 2; reserving++) {
            /* A program that is lean from the start: nothing but the batch can be made smaller. */
            *(reserving ? &fake.failing_reservations : &fake.failing_allocations) = failing;
            sal_program *p = open_graph((sal_program_options){.batch = 6, .max_memory = (size_t)1 << 30});
            cr_expect_eq(p->batch, left[failing], "%ld pictures after %d failures", (long)p->batch, failing);
            cr_expect_eq(p->asked_batch, failing ? 6 : 0);
            cr_expect_eq(fake.allocated, 1);
            cr_expect(p->lean == 1 && p->arena != NULL);
            sal_program_close(p);
        }
    fake.failing_allocations = 4;
    expect_refused((sal_program_options){.batch = 6}, SAL_ERROR_MEMORY, "others have it");
    fake.failing_allocations = 4;
    expect_refused((sal_program_options){0}, SAL_ERROR_MEMORY, "others have it");
}

Test(program_device, memory_of_the_host_is_not_asked_for_twice)
{
    fake.failing_allocations = 1;
    expect_refused((sal_program_options){0}, SAL_ERROR_MEMORY, "others have it");
    cr_expect_eq(fake.failing_allocations, 0);
}

Test(program_device, masks_take_the_place_of_relus_before_the_batch_is_halved)
{
    fake_take_relus();
    fake_add_all();
    sal_graph_clear(&graph);
    int x = build_conv(&graph, build_input(&graph, 2, 64, 64), 8, 3, 1, 1, 1);
    x = build_conv(&graph, build_activation(&graph, x, SAL_ACT_RELU, 0, 0), 8, 3, 1, 1, 1);
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 2)), 1);
    sal_program *p = open_graph((sal_program_options){0});
    cr_expect(p->lean == 0 && p->batch == 8);
    const size_t fat = p->arena_bytes;
    sal_program_close(p);
    p = open_graph((sal_program_options){.lean = 1});
    cr_expect(p->lean == 1 && p->batch == 8);
    const size_t lean = p->arena_bytes, steps = p->step_count, values = p->value_count;
    sal_program_close(p);
    cr_assert_lt(lean, fat);
    p = open_graph((sal_program_options){.max_memory = fat});
    cr_expect(p->lean == 0 && p->batch == 8);
    sal_program_close(p);
    p = open_graph((sal_program_options){.max_memory = fat - 1});
    cr_expect(p->lean == 1 && p->batch == 8 && p->arena_bytes == lean);
    cr_expect(p->step_count == steps && p->value_count == values, "%zu steps, %zu values", p->step_count,
              p->value_count);
    sal_program_close(p);
    for (int failing = 1; failing <= 2; failing++) {
        fake.failing_allocations = failing;
        p = open_graph((sal_program_options){0});
        cr_expect(p->lean == 1 && p->batch == (failing == 1 ? 8 : 4) && p->asked_batch == (failing == 1 ? 0 : 8),
                  "%d failures: lean %d, batch %ld of %ld", failing, p->lean, (long)p->batch, (long)p->asked_batch);
        sal_program_close(p);
    }
}

/* ---- Running ------------------------------------------------------------ */

#define FORWARD "run conv\nrun activation\nrun mean\nrun reshape\nrun dense\n"
#define BACKWARD "run back dense\nrun back reshape\nrun back mean\nrun back activation\nrun back conv\n"

Test(program_device, a_pass_is_upload_steps_download)
{
    float pictures[2 * 2 * 64 * 64] = {0.5f}, seeds[2 * 4] = {0.25f}, scores[8], gradients[2 * 2 * 64 * 64];
    fake.backend.chunks = 0;
    sal_program *p = open_graph((sal_program_options){.batch = 3});
    cr_expect_eq(sal_program_forward(p, scores, pictures, 2), SAL_OK);
    fake_expect("upload pictures 2 of 3, from 0.5\n" FORWARD "download scores 2\n");
    cr_expect(scores[0] == 1000.0f && scores[7] == 1007.0f);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 2), SAL_OK);
    fake_expect("upload pictures 2 of 3, from 0.5\n" FORWARD);
    cr_expect_eq(sal_program_backward(p, seeds, 2), SAL_OK);
    fake_expect("upload seeds 2 of 3, from 0.25\n" BACKWARD);
    cr_expect_eq(sal_program_download(p, gradients, p->gradient, 2), SAL_OK);
    fake_expect("download gradients 2\n");
    cr_expect(gradients[0] == 2000.0f && gradients[1] == 2001.0f);
    cr_expect_eq(sal_program_download(p, gradients, p->gradient, 1), SAL_OK);
    fake_expect("download gradients 1\n");
    cr_expect_eq(sal_program_download(p, gradients, p->gradient, 4), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_upload(p, p->input, pictures, 0), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_forward(p, scores, pictures, 4), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "4 pictures for a batch of 3");
    cr_expect_eq(sal_program_forward(p, scores, pictures, 0), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_forward_array(p, scores, p->input, 4), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_forward_array(p, scores, p->input, 0), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_backward(p, seeds, 4), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_backward(p, seeds, 0), SAL_ERROR_ARGUMENT);
    fake_expect("");
    sal_program_close(p);
}

Test(program_device, the_first_layers_run_a_part_of_the_batch_at_a_time)
{
    float pictures[4 * 2 * 64 * 64] = {0}, seeds[4 * 4] = {0};
    sal_program *p = open_graph((sal_program_options){.batch = 4});
    cr_assert_eq(p->segment_count, 4);
    cr_assert_eq(p->segments[0].last, 3);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 4), SAL_OK);
    fake_expect(
        "upload pictures 4 of 4, from 0\nrun conv\nrun activation\nrun mean\nrun conv\nrun activation\nrun mean\n"
        "run reshape\nrun dense\n");
    cr_expect_eq(sal_program_backward(p, seeds, 4), SAL_OK);
    fake_expect(
        "upload seeds 4 of 4, from 0\nrun back dense\nrun back reshape\n"
        "run back mean\nrun back activation\nrun back conv\nrun back mean\nrun back activation\nrun back conv\n");
    sal_program_close(p);
}

/* Where picture number `picture` of a value lies. */
static const void *place_of(const sal_program *p, int value, int64_t picture)
{
    const sal_value *v = &p->values[value];
    return p->arena + v->offset + (v->pictures == p->batch ? picture * (int64_t)v->bytes : 0);
}

/* Every run from the fake device's first on, of steps [first, last) in their segments; the number of runs. */
static int check_runs(const sal_program *p, int first, int last)
{
    int run = 0;
    for (int k = 0; k < p->segment_count; k++)
        for (int64_t picture = 0; picture < p->batch; picture += p->segments[k].chunk)
            for (int s = p->segments[k].first; s < p->segments[k].last; s++) {
                if (s < first || s >= last)
                    continue;
                const fake_run *r = &fake.runs[run++];
                const sal_step *step = &p->steps[s];
                for (int i = 0; i < step->input_count; i++)
                    cr_expect_eq(r->inputs[i], place_of(p, step->inputs[i], picture), "step %d, input %d", s, i);
                cr_expect_eq(r->output, place_of(p, step->output, picture), "step %d", s);
                cr_expect_eq(r->kept, step->kept < 0 ? NULL : place_of(p, step->kept, picture), "step %d", s);
                cr_expect_eq(r->scratch, p->arena + p->scratch_offsets[s], "step %d", s);
            }
    return run;
}

Test(program_device, everything_is_read_and_written_where_it_was_planned)
{
    float pictures[4 * 2 * 64 * 64] = {0}, seeds[4 * 4] = {0}, scores[16];
    fake.scratch_bytes = 1000;
    sal_program *p = open_graph((sal_program_options){.batch = 4});
    cr_assert_eq(p->segment_count, 4);
    /* Nothing lies at 0, where no offset shows; the fake device touches no memory. */
    for (size_t v = 0; v < p->value_count; v++)
        p->values[v].offset += 64;
    cr_expect_eq(sal_program_forward(p, scores, pictures, 4), SAL_OK);
    cr_expect_eq(fake.run_count, check_runs(p, 0, (int)p->forward_count));
    cr_expect_eq(fake.uploaded_to, place_of(p, p->input, 0));
    cr_expect_eq(fake.downloaded_from, place_of(p, p->scores, 0));
    fake.run_count = 0;
    cr_expect_eq(sal_program_backward(p, seeds, 4), SAL_OK);
    cr_expect_eq(fake.run_count, check_runs(p, (int)p->forward_count, (int)p->step_count));
    cr_expect_eq(fake.uploaded_to, place_of(p, p->seed, 0));
    cr_expect_eq(sal_program_download(p, pictures, p->gradient, 1), SAL_OK);
    cr_expect_eq(fake.downloaded_from, place_of(p, p->gradient, 0));
    sal_program_close(p);
}

Test(program_device, a_step_may_have_any_number_of_inputs)
{
    float pictures[70 * 2 * 2] = {0};
    for (int count = 63; count <= 66; count++) {
        int parts[70], node;
        sal_graph_clear(&graph);
        const int x = build_input(&graph, 70, 2, 2);
        for (int k = 0; k < count; k++)
            parts[k] = build_slice(&graph, x, 1, k, 1, 1);
        cr_assert_eq(sal_graph_add(&node, &graph, SAL_OP_CONCAT, NULL, parts, count), SAL_OK);
        graph.nodes[node].axis = 1;
        build_dense(&graph, build_flatten(&graph, build_done(&graph, node)), 1);
        sal_program *p = open_graph((sal_program_options){.batch = 1});
        fake.run_count = 0;
        memset(&p->segments[0], 0, sizeof p->segments);
        p->segment_count = 1;
        p->segments[0] = (sal_segment){count, count + 1, 1}; /* the concat alone */
        cr_assert_eq(p->steps[count].kind, SAL_STEP_CONCAT);
        p->forward_count = (size_t)count + 1;
        cr_expect_eq(sal_program_forward(p, NULL, pictures, 1), SAL_OK);
        cr_assert_eq(fake.run_count, 1);
        cr_expect_eq(check_runs(p, count, count + 1), 1);
        sal_program_close(p);
    }
}

Test(program_device, a_described_one_runs_nothing)
{
    float pictures[2 * 64 * 64] = {0};
    sal_program *p = open_graph((sal_program_options){.batch = 1, .described = "{}"});
    cr_expect_str_eq(fake.options.described, "{}");
    cr_expect_eq(fake.allocated, 0);
    cr_expect_null(p->arena);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 1), SAL_ERROR_DEVICE);
    cr_expect_str_eq(sal_last_error(), "fake: of this test: this device is only described");
    cr_expect_eq(sal_program_backward(p, pictures, 1), SAL_ERROR_DEVICE);
    fake_expect("");
    sal_program_close(p);
}

Test(program_device, a_step_that_fails_is_named)
{
    float pictures[2 * 64 * 64] = {0};
    free(graph.nodes[1].name);
    graph.nodes[1].name = strdup("stem");
    sal_program *p = open_graph((sal_program_options){.batch = 1});
    fake.failing = SAL_STEP_CONV;
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 1), SAL_ERROR_DEVICE);
    cr_expect_str_eq(sal_last_error(), "node 'stem' (conv): it broke");
    fake_expect("upload pictures 1 of 1, from 0\nrun conv\n");
    fake.failing = SAL_STEP_CONV_BACKWARD;
    cr_expect_eq(sal_program_backward(p, pictures, 1), SAL_ERROR_DEVICE);
    cr_expect_str_eq(sal_last_error(), "node 'stem' (back conv): it broke");
    sal_program_close(p);
}

Test(program_device, passes_are_recorded_in_two_slots_and_gradients_out_of_range_made_again)
{
    float pictures[2 * 64 * 64] = {2.0f}, seeds[4] = {3.0f};
    fake_add_all();
    sal_program *p = open_graph((sal_program_options){.batch = 1});
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 1), SAL_OK);
    fake_expect("upload pictures 1 of 1, from 2\nslot 0\n" FORWARD);
    fake.rescales = 1;
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_OK);
    fake_expect("upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "rescale gradients 1\n"
                "upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "rescale gradients 1\n");
    cr_expect_eq(fake.rescaled, place_of(p, p->gradient, 0));
    /* Nothing is tried again where that cannot be found out, whatever it says. */
    fake.rescales = fake.failing_rescales = 1;
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_ERROR_DEVICE);
    fake_expect("upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "rescale gradients 1\n");
    sal_program_close(p);
}

Test(program_device, the_next_pictures_come_over_behind_one_backward_pass)
{
    float pictures[2 * 64 * 64] = {2.0f}, next[2 * 2 * 64 * 64] = {7.0f}, seeds[4] = {3.0f};
    fake_add_all();
    sal_program *p = open_graph((sal_program_options){.batch = 1});
    sal_program_prefetch(p, next, 2);
    fake_expect("");
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 1), SAL_OK);
    fake_expect("upload pictures 1 of 1, from 2\nslot 0\n" FORWARD);
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_OK);
    fake_expect("upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "prefetch pictures 2, from 7\nrescale gradients 1\n");
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_OK);
    fake_expect("upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "rescale gradients 1\n");
    /* A forward pass of the pictures themselves came first. */
    sal_program_prefetch(p, pictures, 1);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 1), SAL_OK);
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_OK);
    fake_expect("upload pictures 1 of 1, from 2\nslot 0\n" FORWARD "upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD
                "rescale gradients 1\n");
    sal_program_prefetch(p, next, 2);
    sal_program_prefetch(p, NULL, 0);
    fake_expect("forget pictures 0\n");
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_OK);
    fake_expect("upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "rescale gradients 1\n");
    fake.backend.prefetch = NULL;
    sal_program_prefetch(p, NULL, 0);
    sal_program_prefetch(p, next, 2);
    cr_expect_eq(sal_program_backward(p, seeds, 1), SAL_OK);
    fake_expect("upload seeds 1 of 1, from 3\nslot 1\n" BACKWARD "rescale gradients 1\n");
    sal_program_close(p);
}
