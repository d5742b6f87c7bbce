/* Which score is explained: seeds of the backward pass against derivatives in double. */
#include "attribution/target.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 6 };
static const float logits[N] = {0.5f, -1.25f, 2.0f, 1.75f, -0.125f, 2.0f};

static const sal_scores_kind softmax = {N, SAL_OP_SOFTMAX};
static const sal_scores_kind sigmoid = {N, SAL_OP_ACTIVATION};
static const sal_scores_kind plain = {N, SAL_OP_COUNT};

/* The explained score in double. */
static double score_of(const sal_target *t, const sal_scores_kind *kind, int64_t index, const double *z)
{
    double p[N], sum = 0.0, mean = 0.0;
    for (int i = 0; i < N; i++)
        sum += exp(z[i]);
    for (int i = 0; i < N; i++) {
        p[i] = t->score == SAL_SCORE_LOGIT        ? z[i]
               : kind->detached == SAL_OP_SOFTMAX ? exp(z[i]) / sum
                                                  : 1.0 / (1.0 + exp(-z[i]));
        mean += p[i] / N;
    }
    double second = -INFINITY;
    for (int i = 0; i < N; i++)
        if (i != index && p[i] > second)
            second = p[i];
    return t->kind == SAL_TARGET_MARGIN ? p[index] - second : index < 0 ? mean : p[index];
}

/* Scores and seeds against the formula and its central differences. */
static void check_target(sal_target t, const sal_scores_kind *kind, int64_t expected)
{
    float seed[N + 1] = {0};
    sal_choice choice;
    seed[N] = -5.0f;
    cr_assert_eq(sal_target_check(&t, kind), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_target_seed(seed, &choice, &t, kind, logits, 0), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(choice.index, expected, "kind %d index %lld: chose %lld", t.kind, (long long)t.index,
                 (long long)choice.index);
    double z[N];
    for (int i = 0; i < N; i++)
        z[i] = (double)logits[i];
    cr_expect_eq(seed[N], -5.0f, "wrote %g behind the end", (double)seed[N]);
    double score = score_of(&t, kind, expected, z);
    cr_expect(fabs((double)choice.score - score) <= 1e-7 * fmax(1.0, fabs(score)), "score %.9g, not %.9g",
              (double)choice.score, score);
    for (int i = 0; i < N; i++) {
        const double h = 1e-5, at = z[i];
        z[i] = at + h;
        double above = score_of(&t, kind, expected, z);
        z[i] = at - h;
        double derivative = (above - score_of(&t, kind, expected, z)) / (2.0 * h);
        z[i] = at;
        cr_expect(fabs((double)seed[i] - derivative) <= 1e-7, "kind %d score %d target %lld: seed[%d] %.9g, not %.9g",
                  t.kind, t.score, (long long)expected, i, (double)seed[i], derivative);
    }
}

Test(target, logit_seeds_are_one_at_the_chosen_output)
{
    check_target((sal_target){.kind = SAL_TARGET_PREDICTED}, &plain, 2);
    for (int64_t i = 0; i < N; i++)
        check_target((sal_target){.kind = SAL_TARGET_INDEX, .index = i}, &softmax, i);
    check_target((sal_target){.kind = SAL_TARGET_MEAN}, &plain, -1);
}

Test(target, ranks_fall_and_ties_keep_their_order)
{
    static const int64_t order[N] = {2, 5, 3, 0, 4, 1};
    for (int64_t rank = 0; rank < N; rank++) {
        cr_expect_eq(sal_target_rank(logits, N, rank), order[rank]);
        check_target((sal_target){.kind = SAL_TARGET_TOP, .index = rank}, &plain, order[rank]);
    }
}

Test(target, probability_seeds_are_rows_of_the_jacobian)
{
    for (int64_t i = 0; i < N; i++) {
        check_target((sal_target){SAL_TARGET_INDEX, i, SAL_SCORE_PROBABILITY}, &softmax, i);
        check_target((sal_target){SAL_TARGET_INDEX, i, SAL_SCORE_PROBABILITY}, &sigmoid, i);
    }
    check_target((sal_target){SAL_TARGET_MEAN, 0, SAL_SCORE_PROBABILITY}, &sigmoid, -1);
}

Test(target, a_margin_is_how_far_the_best_is_ahead)
{
    check_target((sal_target){.kind = SAL_TARGET_MARGIN}, &plain, 2);
    check_target((sal_target){SAL_TARGET_MARGIN, 0, SAL_SCORE_PROBABILITY}, &softmax, 2);
    check_target((sal_target){SAL_TARGET_MARGIN, 0, SAL_SCORE_PROBABILITY}, &sigmoid, 2);
}

/* Also what the other outputs get, which is nothing where the best two are equal. */
Test(target, a_margin_s_seed_is_the_difference_of_two)
{
    static const float scores[N] = {0.5f, -1.25f, 2.0f, 1.75f, -0.125f, 0.75f};
    for (int k = 0; k < 2; k++) {
        const sal_scores_kind *kind = k ? &sigmoid : &softmax;
        float margin[N], best[N], second[N];
        sal_choice choice;
        const sal_target of_margin = {SAL_TARGET_MARGIN, 0, SAL_SCORE_PROBABILITY};
        const sal_target of_best = {SAL_TARGET_INDEX, 2, SAL_SCORE_PROBABILITY};
        const sal_target of_second = {SAL_TARGET_INDEX, 3, SAL_SCORE_PROBABILITY};
        cr_assert_eq(sal_target_seed(margin, &choice, &of_margin, kind, scores, 0), SAL_OK);
        cr_expect_eq(choice.index, 2);
        cr_assert_eq(sal_target_seed(best, &choice, &of_best, kind, scores, 0), SAL_OK);
        cr_assert_eq(sal_target_seed(second, &choice, &of_second, kind, scores, 0), SAL_OK);
        for (int i = 0; i < N; i++) {
            const double want = (double)best[i] - (double)second[i];
            cr_expect(fabs((double)margin[i] - want) <= 1e-7, "seed %d is %g, not %g", i, (double)margin[i], want);
            cr_expect(k == 1 || want != 0.0);
        }
    }
}

/* Neither falls to nothing in a sum with 1. */
Test(target, a_certain_margin_keeps_its_tiny_gradient)
{
    const float scores[2] = {40.0f, 0.0f};
    const sal_scores_kind kind = {2, SAL_OP_SOFTMAX};
    const sal_target t = {SAL_TARGET_MARGIN, 0, SAL_SCORE_PROBABILITY};
    float seed[2];
    sal_choice choice;
    cr_assert_eq(sal_target_seed(seed, &choice, &t, &kind, scores, 0), SAL_OK);
    const double expected = 2.0 * exp(-40.0) / ((1.0 + exp(-40.0)) * (1.0 + exp(-40.0)));
    cr_expect(fabs((double)seed[0] - expected) <= 1e-6 * expected, "%g, not %g", (double)seed[0], expected);
    cr_expect(fabs((double)seed[1] + expected) <= 1e-6 * expected, "%g, not %g", (double)seed[1], -expected);
}

Test(target, a_certain_softmax_keeps_its_tiny_gradient)
{
    const float scores[2] = {40.0f, 0.0f};
    const sal_scores_kind kind = {2, SAL_OP_SOFTMAX};
    const sal_target t = {SAL_TARGET_PREDICTED, 0, SAL_SCORE_PROBABILITY};
    float seed[2];
    sal_choice choice;
    cr_assert_eq(sal_target_seed(seed, &choice, &t, &kind, scores, 0), SAL_OK);
    double expected = exp(-40.0) / ((1.0 + exp(-40.0)) * (1.0 + exp(-40.0)));
    cr_expect(fabs((double)seed[0] - expected) <= 1e-6 * expected, "%g, not %g", (double)seed[0], expected);
    cr_expect(fabs((double)seed[1] + expected) <= 1e-6 * expected, "%g, not %g", (double)seed[1], -expected);
}

Test(target, probabilities_are_those_of_the_definition_for_every_output)
{
    /* Both branches of the sigmoid, and both sides of where they meet. */
    /* What lies behind the scores is not looked at, and what lies behind the results is left alone. */
    const float scores[N + 1] = {0.005f, -0.005f, 0.0f, 3.5f, -7.25f, 20.0f, NAN};
    double sum = 0.0;
    for (int i = 0; i < N; i++)
        sum += exp((double)scores[i]);
    for (int i = 0; i < N; i++) {
        const double x = (double)scores[i], expected[2] = {exp(x) / sum, 1.0 / (1.0 + exp(-x))};
        const sal_scores_kind kinds[2] = {softmax, sigmoid};
        for (int k = 0; k < 2; k++) {
            float p[N + 1], seed[N + 1];
            sal_choice choice;
            const sal_target t = {SAL_TARGET_INDEX, i, SAL_SCORE_PROBABILITY};
            p[N] = seed[N] = -5.0f;
            cr_assert_eq(sal_target_probabilities(p, scores, &kinds[k]), SAL_OK);
            cr_expect(fabs((double)p[i] - expected[k]) <= 1e-7 * expected[k], "%d: %.9g, not %.9g", i, (double)p[i],
                      expected[k]);
            cr_assert_eq(sal_target_seed(seed, &choice, &t, &kinds[k], scores, 0), SAL_OK);
            cr_expect(p[N] == -5.0f && seed[N] == -5.0f, "wrote %g and %g behind the end", (double)p[N],
                      (double)seed[N]);
            const double slope = expected[k] * (1.0 - expected[k]);
            cr_expect(choice.score == p[i] && fabs((double)seed[i] - slope) <= 2e-7 * slope, "%d: seed %.9g, not %.9g",
                      i, (double)seed[i], slope);
        }
    }
}

Test(target, probabilities_may_take_the_place_of_their_scores)
{
    for (int k = 0; k < 2; k++) {
        const sal_scores_kind *kind = k ? &softmax : &sigmoid;
        float p[N], in_place[N];
        memcpy(in_place, logits, sizeof in_place);
        cr_assert_eq(sal_target_probabilities(p, logits, kind), SAL_OK);
        cr_assert_eq(sal_target_probabilities(in_place, in_place, kind), SAL_OK);
        cr_expect_arr_eq(p, in_place, sizeof p);
    }
}

Test(target, large_logits_do_not_overflow)
{
    const float scores[N] = {3e38f, -3e38f, 1e30f, 0.0f, -1.0f, 700.0f};
    const sal_scores_kind kinds[2] = {softmax, sigmoid};
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < N; i++) {
            const sal_target t = {SAL_TARGET_INDEX, i, SAL_SCORE_PROBABILITY};
            float seed[N], p[N];
            sal_choice choice;
            cr_assert_eq(sal_target_seed(seed, &choice, &t, &kinds[k], scores, 0), SAL_OK);
            cr_assert_eq(sal_target_probabilities(p, scores, &kinds[k]), SAL_OK);
            cr_expect(choice.score >= 0.0f && choice.score <= 1.0f && choice.score == p[i]);
            for (int j = 0; j < N; j++)
                cr_expect(isfinite(seed[j]) && p[j] >= 0.0f && p[j] <= 1.0f);
        }
}

Test(target, scores_that_are_no_numbers_name_picture_and_output)
{
    const float bad[2] = {NAN, INFINITY};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N; i++) {
            float scores[N], seed[N];
            char text[64];
            sal_choice choice;
            const sal_target t = {.kind = SAL_TARGET_INDEX, .index = 0};
            memcpy(scores, logits, sizeof scores);
            scores[i] = bad[k];
            cr_assert_eq(sal_target_seed(seed, &choice, &t, &plain, scores, 3), SAL_ERROR_NUMERIC);
            snprintf(text, sizeof text, "picture 3: score %d is %s", i, k ? "infinite" : "NaN");
            cr_expect_str_eq(sal_last_error(), text);
        }
}

static void check_refused(sal_target t, const sal_scores_kind *kind, const char *text)
{
    cr_expect_eq(sal_target_check(&t, kind), SAL_ERROR_ARGUMENT, "kind %d index %lld was let through", t.kind,
                 (long long)t.index);
    cr_expect(strstr(sal_last_error(), text) != NULL, "'%s' lacks '%s'", sal_last_error(), text);
}

Test(target, contradictions_are_refused)
{
    check_refused((sal_target){.kind = SAL_TARGET_INDEX, .index = N}, &plain, "0 to 5");
    check_refused((sal_target){.kind = SAL_TARGET_INDEX, .index = -1}, &plain, "index -1");
    check_refused((sal_target){.kind = SAL_TARGET_TOP, .index = N}, &softmax, "rank 6");
    check_refused((sal_target){SAL_TARGET_PREDICTED, 0, SAL_SCORE_PROBABILITY}, &plain, "neither softmax nor sigmoid");
    check_refused((sal_target){SAL_TARGET_MEAN, 0, SAL_SCORE_PROBABILITY}, &softmax, "constant");
    check_refused((sal_target){.kind = (sal_target_kind)9}, &plain, "unknown target kind 9");
    check_refused((sal_target){.kind = (sal_target_kind)(SAL_TARGET_MARGIN + 1)}, &plain, "unknown target kind");
    check_refused((sal_target){.score = (sal_score)(SAL_SCORE_PROBABILITY + 1)}, &softmax, "or score 2");
    check_refused((sal_target){.kind = SAL_TARGET_INDEX, .index = N}, &plain,
                  "target index 6: the model has 6 outputs, so 0 to 5");
    check_refused((sal_target){.kind = SAL_TARGET_TOP, .index = 1}, &(sal_scores_kind){1, SAL_OP_COUNT},
                  "target rank 1: the model has 1 output, so 0 to 0");
    check_refused((sal_target){.kind = SAL_TARGET_LABEL}, &plain, "only the pictures of a sweep have labels");
    check_refused((sal_target){.kind = SAL_TARGET_MARGIN}, &(sal_scores_kind){1, SAL_OP_COUNT},
                  "target margin: the model has 1 output, and none that it could be ahead of");
    cr_expect_eq(sal_target_check(&(sal_target){.kind = SAL_TARGET_MARGIN}, &(sal_scores_kind){2, SAL_OP_COUNT}),
                 SAL_OK);
    /* What no index is asked of may have any. */
    cr_expect_eq(sal_target_check(&(sal_target){.kind = SAL_TARGET_MEAN, .index = N}, &plain), SAL_OK);
    cr_expect_eq(sal_target_check(&(sal_target){.kind = SAL_TARGET_PREDICTED, .index = -1}, &plain), SAL_OK);
    cr_expect_eq(sal_target_check(&(sal_target){.kind = SAL_TARGET_MEAN}, &softmax), SAL_OK);
    cr_expect_eq(sal_target_check(&(sal_target){SAL_TARGET_INDEX, 0, SAL_SCORE_PROBABILITY}, &softmax), SAL_OK);
    float p[N];
    cr_expect_eq(sal_target_probabilities(p, logits, &plain), SAL_ERROR_ARGUMENT);
}
