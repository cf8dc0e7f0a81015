/** Runs one decoder on many inputs, and keeps what broke it as a file. */
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Prng } from "../../src/base/prng.ts"
import { mutated } from "./mutate.ts"

/** One decoder, with all that must hold of it. */
export interface Target {
  readonly name: string
  /** What one input costs, in those of the cheapest: the dear ones get fewer. */
  readonly cost: number
  /** Valid bytes, from a seed. */
  readonly corpus: (seed: number) => ReadonlyArray<Uint8Array>
  /** Beside the mutations of bytes: what those would hardly come to. */
  readonly mutate?: (random: Prng, bytes: Uint8Array) => Uint8Array
  /** Whether the bytes were taken; throws where something does not hold. */
  readonly run: (bytes: Uint8Array) => boolean
}

export interface Outcome {
  readonly target: string
  readonly inputs: number
  readonly taken: number
  readonly seconds: number
  /** The dearest input, in milliseconds, as it was when tried again. */
  readonly worstMs: number
  /** Bytes of memory in use after a collection, behind the first tenth and at the end. */
  readonly memory: readonly [number, number]
  readonly finding?: { readonly what: string; readonly file: string }
}

export interface FuzzOptions {
  readonly inputs: number
  readonly seed: number
  /** Where what breaks a target is kept. */
  readonly folder?: string
}

/** Mutations that were taken are mutated further, in place of a valid one. */
const KEPT_PER_MILLE = 20
const KEPT_BYTES_MAX = 1_024
const SMALL_BYTES = 1_024
const LARGE_MAX = 3
/**
 * Of a target of cost 1. Beyond it an input is tried again, so that a collection is not taken for
 * its cost.
 */
const SLOW_MS = 20
const AGAIN = 5
export const FINDINGS = fileURLToPath(new URL("./findings/", import.meta.url))

/** Takes longer than it may: less of it need not. */
class Slow extends Error {}

export const fuzz = (target: Target, { inputs, seed, folder = FINDINGS }: FuzzOptions): Outcome => {
  const random = new Prng(seed)
  const valid = usual(target.corpus(seed))
  const corpus = [...valid]
  const slowMs = SLOW_MS * target.cost
  const startMs = performance.now()
  let [taken, worstMs, early] = [0, 0, 0]
  const outcome = (finding?: Outcome["finding"]): Outcome => ({
    target: target.name,
    inputs,
    taken,
    seconds: (performance.now() - startMs) / 1000,
    worstMs,
    memory: [early, memoryUsed()],
    ...(finding && { finding })
  })
  for (let i = 0; i < inputs; i++) {
    if (i === Math.ceil(inputs / 10)) early = memoryUsed()
    const bytes = i < valid.length ? valid[i]! : next(target, random, corpus, valid)
    const beginMs = performance.now()
    try {
      const kept = target.run(bytes)
      if (kept) taken++
      else if (i < valid.length) throw new Error("valid bytes were refused")
      const tookMs = performance.now() - beginMs
      worstMs = Math.max(worstMs, tookMs < slowMs ? tookMs : again(target, bytes))
      if (worstMs >= slowMs) throw new Slow(`an input of ${bytes.length} bytes took ${worstMs} ms`)
      if (kept && bytes.length <= KEPT_BYTES_MAX && random.chance(KEPT_PER_MILLE)) {
        corpus[random.below(corpus.length)] = bytes
      }
    } catch (thrown) {
      return outcome(keep(folder, target, bytes, thrown))
    }
  }
  return outcome()
}

const next = (
  { mutate }: Target,
  random: Prng,
  corpus: ReadonlyArray<Uint8Array>,
  valid: ReadonlyArray<Uint8Array>
): Uint8Array => {
  const from = random.pick(corpus)
  return mutate !== undefined && random.chance(500)
    ? mutate(random, from)
    : mutated(random, from, valid)
}

/** Nearly all inputs are small, as messages are: many of them say more than a few large ones. */
const usual = (corpus: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const large = corpus.filter(({ length }) => length > SMALL_BYTES)
  return [...corpus.filter((bytes) => !large.includes(bytes)), ...large.slice(0, LARGE_MAX)]
}

/** Of this thread alone: how busy the machine is says nothing of the decoder. */
const again = (target: Target, bytes: Uint8Array): number => {
  let least = Infinity
  for (let i = 0; i < AGAIN; i++) {
    const before = process.threadCpuUsage()
    target.run(bytes)
    const { user, system } = process.threadCpuUsage(before)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}

/** 0 where Node was not started with --expose-gc. */
const memoryUsed = (): number => {
  if (globalThis.gc === undefined) return 0
  // What arrays held outside of the heap goes one collection later.
  for (let i = 0; i < 3; i++) globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const firstLine = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")[0]!

/** Writes the smallest part of the input that breaks it in the same way. */
const keep = (
  folder: string,
  target: Target,
  bytes: Uint8Array,
  thrown: unknown
): { readonly what: string; readonly file: string } => {
  const what = firstLine(thrown)
  const breaks = (fewer: Uint8Array): boolean => {
    try {
      target.run(fewer)
      return false
    } catch (other) {
      return firstLine(other) === what
    }
  }
  const small = thrown instanceof Slow ? bytes : shrunk(bytes, breaks)
  const hash = createHash("sha256").update(small).digest("hex").slice(0, 8)
  const file = join(folder, `${target.name}-${hash}.hex`)
  mkdirSync(folder, { recursive: true })
  const lines =
    Buffer.from(small)
      .toString("hex")
      .match(/.{1,80}/g) ?? []
  writeFileSync(file, [`# ${what}`, ...lines, ""].join("\n"))
  return { what, file }
}

const SHRINKS_MAX = 4_000

const shrunk = (bytes: Uint8Array, fails: (bytes: Uint8Array) => boolean): Uint8Array => {
  let best = bytes
  let tries = 0
  for (let run = best.length >> 1; run >= 1; run >>= 1) {
    for (let at = 0; at < best.length && tries < SHRINKS_MAX; tries++) {
      const fewer = new Uint8Array([...best.subarray(0, at), ...best.subarray(at + run)])
      if (fails(fewer)) best = fewer
      else at += run
    }
  }
  return best
}

export interface Finding {
  readonly file: string
  readonly target: string
  readonly bytes: Uint8Array
}

/** All that was ever found. */
export const findings = (folder = FINDINGS): ReadonlyArray<Finding> =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".hex"))
    .map((file) => {
      const lines = readFileSync(join(folder, file), "utf8").split("\n")
      const hex = lines.filter((line) => !line.startsWith("#")).join("")
      const bytes = new Uint8Array(Buffer.from(hex, "hex"))
      return { file, target: file.replace(/-[^-]*\.hex$/, ""), bytes }
    })
