/** Every decoder of bytes that others made. */
import type { Target } from "./fuzz.ts"
import { LINKS } from "./linkTargets.ts"
import { STORED } from "./storeTargets.ts"
import { WIRE } from "./wireTargets.ts"

export const TARGETS: ReadonlyArray<Target> = [...WIRE, ...LINKS, ...STORED]
