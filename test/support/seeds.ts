/** How many seeds a test tries: a slice in every run, more with `npm run sim:tests`. */
const TIMES = Number(process.env["SEEDS_TIMES"] ?? 1)

export const seedsOf = (slice: number): number => slice * TIMES

/** For machines that others share. */
export const SLOW = { timeout: 120_000 * TIMES }
