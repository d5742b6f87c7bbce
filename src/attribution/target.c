#include "attribution/target.h"

#include <math.h>
#include <string.h>

static sal_status no_probability(void)
{
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "score probability: the model ends in neither softmax nor sigmoid; explain the logit instead");
}

sal_status sal_target_check(const sal_target *target, const sal_scores_kind *kind)
{
    if ((unsigned)target->kind > SAL_TARGET_MARGIN || (unsigned)target->score > SAL_SCORE_PROBABILITY)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown target kind %d or score %d", (int)target->kind,
                        (int)target->score);
    if (target->kind == SAL_TARGET_LABEL)
        return sal_fail(SAL_ERROR_ARGUMENT, "target label: only the pictures of a sweep have labels");
    int indexed = target->kind == SAL_TARGET_INDEX || target->kind == SAL_TARGET_TOP;
    if (indexed && (target->index < 0 || target->index >= kind->outputs))
        return sal_fail(SAL_ERROR_ARGUMENT, "target %s %lld: the model has %lld output%s, so 0 to %lld",
                        target->kind == SAL_TARGET_TOP ? "rank" : "index", (long long)target->index,
                        (long long)kind->outputs, kind->outputs == 1 ? "" : "s", (long long)kind->outputs - 1);
    if (target->kind == SAL_TARGET_MARGIN && kind->outputs < 2)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "target margin: the model has 1 output, and none that it could be ahead of");
    if (target->score == SAL_SCORE_LOGIT)
        return SAL_OK;
    if (kind->detached == SAL_OP_COUNT)
        return no_probability();
    if (target->kind == SAL_TARGET_MEAN && kind->detached == SAL_OP_SOFTMAX)
        return sal_fail(SAL_ERROR_ARGUMENT, "target mean with score probability: the mean of all softmax outputs is "
                                            "constant, its gradient would be rounding noise; use the logit");
    return SAL_OK;
}

int64_t sal_target_rank(const float *scores, int64_t outputs, int64_t rank)
{
    int64_t last = -1;
    for (int64_t r = 0; r <= rank; r++) {
        int64_t best = -1;
        for (int64_t i = 0; i < outputs; i++) {
            int taken = last >= 0 && (scores[i] > scores[last] || (scores[i] == scores[last] && i <= last));
            if (!taken && (best < 0 || scores[i] > scores[best]))
                best = i;
        }
        last = best;
    }
    return last;
}

static double sigmoid(double x)
{
    /* e^-|x| cannot overflow, and small probabilities keep their digits. */
    double e = exp(-fabs(x));
    return x >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

/* Largest logit and the sum of e^(logit - largest). */
static double softmax_sum(double *largest, const float *scores, int64_t outputs)
{
    double sum = 0.0;
    *largest = (double)scores[sal_target_rank(scores, outputs, 0)];
    for (int64_t i = 0; i < outputs; i++)
        sum += exp((double)scores[i] - *largest);
    return sum;
}

/* One output's logit or probability; for a probability the seed is a row of the
 * Jacobian: p_t (delta_tj - p_j) for softmax, p_t (1 - p_t) at t for sigmoid. */
static float seed_one(float *seed, int64_t t, const sal_target *target, const sal_scores_kind *kind,
                      const float *scores)
{
    if (target->score == SAL_SCORE_LOGIT) {
        seed[t] = 1.0f;
        return scores[t];
    }
    if (kind->detached == SAL_OP_ACTIVATION) {
        double p = sigmoid((double)scores[t]);
        seed[t] = (float)(p * sigmoid(-(double)scores[t]));
        return (float)p;
    }
    double largest, sum = softmax_sum(&largest, scores, kind->outputs);
    double pt = exp((double)scores[t] - largest) / sum, others = 0.0;
    for (int64_t i = 0; i < kind->outputs; i++) {
        double p = exp((double)scores[i] - largest) / sum;
        seed[i] = (float)(-pt * p);
        if (i != t)
            others += p;
    }
    /* 1 - p_t as the sum of the others: no cancellation where p_t is almost 1. */
    seed[t] = (float)(pt * others);
    return (float)pt;
}

/* Output t's logit or probability less that of u; the difference of two such rows. With softmax at t
 * p_t (1 - p_t + p_u), at u -p_u (1 - p_u + p_t), and at any other j -(p_t - p_u) p_j. */
static float seed_margin(float *seed, int64_t t, int64_t u, const sal_target *target, const sal_scores_kind *kind,
                         const float *scores)
{
    if (target->score == SAL_SCORE_LOGIT) {
        seed[t] = 1.0f;
        seed[u] = -1.0f;
        return (float)((double)scores[t] - (double)scores[u]);
    }
    if (kind->detached == SAL_OP_ACTIVATION) {
        const double pt = sigmoid((double)scores[t]), pu = sigmoid((double)scores[u]);
        seed[t] = (float)(pt * sigmoid(-(double)scores[t]));
        seed[u] = (float)(-pu * sigmoid(-(double)scores[u]));
        return (float)(pt - pu);
    }
    double largest, sum = softmax_sum(&largest, scores, kind->outputs);
    const double pt = exp((double)scores[t] - largest) / sum, pu = exp((double)scores[u] - largest) / sum;
    double others = 0.0; /* than these two */
    for (int64_t i = 0; i < kind->outputs; i++) {
        if (i == t || i == u)
            continue;
        const double p = exp((double)scores[i] - largest) / sum;
        seed[i] = (float)(-(pt - pu) * p);
        others += p;
    }
    /* 1 - p_t is p_u and the others. */
    seed[t] = (float)(pt * (others + 2.0 * pu));
    seed[u] = (float)(-pu * (others + 2.0 * pt));
    return (float)(pt - pu);
}

static float seed_mean(float *seed, const sal_target *target, const sal_scores_kind *kind, const float *scores)
{
    double n = (double)kind->outputs, sum = 0.0;
    for (int64_t i = 0; i < kind->outputs; i++) {
        double x = (double)scores[i];
        int probability = target->score == SAL_SCORE_PROBABILITY;
        seed[i] = (float)(probability ? sigmoid(x) * sigmoid(-x) / n : 1.0 / n);
        sum += probability ? sigmoid(x) : x;
    }
    return (float)(sum / n);
}

static sal_status check_scores(const float *scores, const sal_scores_kind *kind, int64_t position)
{
    for (int64_t i = 0; i < kind->outputs; i++)
        if (!isfinite(scores[i]))
            return sal_fail(SAL_ERROR_NUMERIC, "picture %lld: score %lld is %s", (long long)position, (long long)i,
                            isnan(scores[i]) ? "NaN" : "infinite");
    return SAL_OK;
}

static int64_t choose(const sal_target *target, const sal_scores_kind *kind, const float *scores)
{
    switch (target->kind) {
    case SAL_TARGET_MEAN: return -1;
    case SAL_TARGET_INDEX: return target->index;
    case SAL_TARGET_TOP: return sal_target_rank(scores, kind->outputs, target->index);
    case SAL_TARGET_LABEL: /* sal_target_check refused it */
    case SAL_TARGET_MARGIN:
    case SAL_TARGET_PREDICTED: break;
    }
    return sal_target_rank(scores, kind->outputs, 0);
}

/* The best output but for t. */
static int64_t best_other(const float *scores, int64_t outputs, int64_t t)
{
    const int64_t best = sal_target_rank(scores, outputs, 0);
    return best != t ? best : sal_target_rank(scores, outputs, 1);
}

sal_status sal_target_seed_again(float *seed, sal_choice *choice, const sal_target *target, const sal_scores_kind *kind,
                                 const float *scores, int64_t position)
{
    sal_status st = SAL_OK;
    const int64_t t = choice->index;
    TRY(check_scores(scores, kind, position));
    memset(seed, 0, (size_t)kind->outputs * sizeof *seed);
    if (target->kind == SAL_TARGET_MEAN)
        choice->score = seed_mean(seed, target, kind, scores);
    else if (target->kind == SAL_TARGET_MARGIN)
        choice->score = seed_margin(seed, t, best_other(scores, kind->outputs, t), target, kind, scores);
    else
        choice->score = seed_one(seed, t, target, kind, scores);
done:
    return st;
}

sal_status sal_target_seed(float *seed, sal_choice *choice, const sal_target *target, const sal_scores_kind *kind,
                           const float *scores, int64_t position)
{
    sal_status st = SAL_OK;
    TRY(check_scores(scores, kind, position));
    choice->index = choose(target, kind, scores);
    TRY(sal_target_seed_again(seed, choice, target, kind, scores, position));
done:
    return st;
}

int sal_target_is_linear(const sal_target *target)
{
    return target->score == SAL_SCORE_LOGIT && target->kind != SAL_TARGET_MARGIN;
}

sal_status sal_target_probabilities(float *probabilities, const float *scores, const sal_scores_kind *kind)
{
    if (kind->detached == SAL_OP_COUNT)
        return no_probability();
    if (kind->detached == SAL_OP_ACTIVATION) {
        for (int64_t i = 0; i < kind->outputs; i++)
            probabilities[i] = (float)sigmoid((double)scores[i]);
        return SAL_OK;
    }
    double largest, sum = softmax_sum(&largest, scores, kind->outputs);
    for (int64_t i = 0; i < kind->outputs; i++)
        probabilities[i] = (float)(exp((double)scores[i] - largest) / sum);
    return SAL_OK;
}
