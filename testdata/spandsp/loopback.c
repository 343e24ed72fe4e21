/*
 * loopback sends a TIFF from one spandsp fax machine to another over a simulated telephone line, as audio of 8,000 samples per
 * second, and so makes the file that a fax server built on spandsp (FreeSWITCH, Asterisk) makes of a call.
 *
 *   loopback SENT.tif RECEIVED.tif [ecm] [v29 | v27ter] [mh | mr | mmr] [store-mh | store-mr | store-mmr] [clicks=N]
 *
 * ecm: error correction on both sides. mh, mr, mmr: the only coding on the line that the receiver announces (mmr needs ecm).
 * store-*: the coding of RECEIVED.tif. clicks: how often a loud click of 4 ms hits the line while the first page is on its way,
 * every 300 ms from 6 s after the receiver learned what comes (constant noise would keep spandsp from seeing the end of a signal).
 * Prints "pages=N ecm=N bad_rows=N longest=N", sums over the pages as the receiver counts them; fails when the call does.
 *
 * cc -O2 -o loopback loopback.c -lspandsp -ltiff -lm
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>
#include <spandsp.h>

enum { RATE = 8000, SAMPLES = 160, SECONDS = 3600 };

struct party {
    fax_state_t *fax;
    bool ended;
    long told; /* samples until the receiver learned what comes; 0: not yet */
    long heard; /* samples */
    int result;
    int ecm, pages, bad_rows, longest;
};

static int page_announced(t30_state_t *t30, void *user, int result)
{
    struct party *p = user;

    (void) t30;
    (void) result;
    if (p->told == 0)
        p->told = p->heard;
    return T30_ERR_OK;
}

static int page_done(t30_state_t *t30, void *user, int result)
{
    struct party *p = user;
    t30_stats_t s;

    (void) result;
    t30_get_transfer_statistics(t30, &s);
    p->bad_rows += s.bad_rows;
    if (s.longest_bad_row_run > p->longest)
        p->longest = s.longest_bad_row_run;
    return T30_ERR_OK;
}

static void call_done(t30_state_t *t30, void *user, int result)
{
    struct party *p = user;
    t30_stats_t s;

    t30_get_transfer_statistics(t30, &s);
    p->ecm = s.error_correcting_mode;
    p->pages = s.pages_rx;
    p->result = result;
    p->ended = true;
}

struct options {
    bool ecm;
    int modems, compressions, store;
    int clicks;
};

static bool parse(struct options *o, int n, char **arg)
{
    static const struct { const char *name; int modems, compressions, store; } words[] = {
        {"v29", T30_SUPPORT_V29 | T30_SUPPORT_V27TER, 0, 0},
        {"v27ter", T30_SUPPORT_V27TER, 0, 0},
        {"mh", 0, T30_SUPPORT_T4_1D_COMPRESSION, 0},
        {"mr", 0, T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION, 0},
        {"mmr", 0, T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION, 0},
        {"store-mh", 0, 0, T4_COMPRESSION_ITU_T4_1D},
        {"store-mr", 0, 0, T4_COMPRESSION_ITU_T4_2D},
        {"store-mmr", 0, 0, T4_COMPRESSION_ITU_T6},
    };
    for (int i = 0; i < n; i++) {
        bool known = false;
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            if (strcmp(arg[i], words[w].name) != 0)
                continue;
            known = true;
            if (words[w].modems)
                o->modems = words[w].modems;
            if (words[w].compressions)
                o->compressions = words[w].compressions;
            if (words[w].store)
                o->store = words[w].store;
        }
        if (strcmp(arg[i], "ecm") == 0)
            known = o->ecm = true;
        else if (sscanf(arg[i], "clicks=%d", &o->clicks) == 1)
            known = true;
        if (!known) {
            fprintf(stderr, "loopback: unknown option %s\n", arg[i]);
            return false;
        }
    }
    return true;
}

static bool answer(struct party *p, bool calling, const struct options *o)
{
    t30_state_t *t30;

    if ((p->fax = fax_init(NULL, calling)) == NULL)
        return false;
    fax_set_transmit_on_idle(p->fax, true);
    t30 = fax_get_t30_state(p->fax);
    t30_set_tx_ident(t30, calling ? "+1 555 0100" : "+1 555 0199");
    t30_set_supported_modems(t30, o->modems);
    t30_set_supported_compressions(t30, o->compressions);
    t30_set_ecm_capability(t30, o->ecm);
    t30_set_rx_encoding(t30, o->store);
    t30_set_supported_image_sizes(t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH | T30_SUPPORT_303MM_WIDTH
        | T30_SUPPORT_UNLIMITED_LENGTH | T30_SUPPORT_A4_LENGTH | T30_SUPPORT_B4_LENGTH | T30_SUPPORT_US_LETTER_LENGTH
        | T30_SUPPORT_US_LEGAL_LENGTH);
    t30_set_supported_resolutions(t30, T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION
        | T30_SUPPORT_SUPERFINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION | T30_SUPPORT_R16_RESOLUTION);
    t30_set_phase_b_handler(t30, page_announced, p);
    t30_set_phase_d_handler(t30, page_done, p);
    t30_set_phase_e_handler(t30, call_done, p);
    return true;
}

/* clicked tells whether the sound that comes now is a click. */
static bool clicked(const struct party *to, int clicks)
{
    const long start = 6 * RATE, apart = 3 * RATE / 10, length = 4 * RATE / 1000;
    long since = to->heard - to->told - start;

    return to->told > 0 && since >= 0 && since / apart < clicks && since % apart < length;
}

/* hear moves 20 ms of sound from one machine to the other. */
static void hear(struct party *to, struct party *from, int clicks)
{
    int16_t sound[SAMPLES];
    int n = fax_tx(from->fax, sound, SAMPLES);

    memset(sound + n, 0, (SAMPLES - n) * sizeof sound[0]);
    for (int i = 0; i < SAMPLES; i++, to->heard++) {
        if (clicked(to, clicks))
            sound[i] = to->heard / 3 % 2 ? 8000 : -8000;
    }
    fax_rx(to->fax, sound, SAMPLES);
}

int main(int argc, char **argv)
{
    struct options o = {
        .modems = T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17,
        .compressions = T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION,
        .store = T4_COMPRESSION_ITU_T4_2D,
    };
    struct party caller = {0}, called = {0};

    if (argc < 3 || !parse(&o, argc - 3, argv + 3)) {
        fprintf(stderr, "usage: loopback SENT.tif RECEIVED.tif [option...]\n");
        return 2;
    }
    if (!answer(&caller, true, &o) || !answer(&called, false, &o)) {
        fprintf(stderr, "loopback: no memory\n");
        return 1;
    }
    t30_set_tx_file(fax_get_t30_state(caller.fax), argv[1], -1, -1);
    t30_set_rx_file(fax_get_t30_state(called.fax), argv[2], -1);

    for (int i = 0; i < SECONDS * RATE / SAMPLES && !(caller.ended && called.ended); i++) {
        hear(&called, &caller, o.clicks);
        hear(&caller, &called, 0);
    }
    printf("pages=%d ecm=%d bad_rows=%d longest=%d\n", called.pages, called.ecm, called.bad_rows, called.longest);
    if (!caller.ended || !called.ended) {
        fprintf(stderr, "loopback: the call does not end within an hour\n");
        return 1;
    }
    if (caller.result != T30_ERR_OK || called.result != T30_ERR_OK) {
        fprintf(stderr, "loopback: caller: %s; called: %s\n", t30_completion_code_to_str(caller.result),
            t30_completion_code_to_str(called.result));
        return 1;
    }
    return 0;
}
