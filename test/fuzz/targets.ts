/** Every decoder of bytes that others made. */
import { CALLS } from "./callTargets.ts"
import { FETCHES } from "./fetchTargets.ts"
import type { Target } from "./fuzz.ts"
import { LINKS } from "./linkTargets.ts"
import { SESSIONS } from "./sessionTargets.ts"
import { STORED } from "./storeTargets.ts"
import { WIRE } from "./wireTargets.ts"

export const TARGETS: ReadonlyArray<Target> = [
  ...WIRE,
  ...LINKS,
  ...SESSIONS,
  ...CALLS,
  ...FETCHES,
  ...STORED
]
