import type { Tap } from "../link/tap.ts"
import type { EventHash } from "./hash.ts"
import { SimFetches } from "./simFetches.ts"
import type { Endpoint, Network } from "./simNetwork.ts"
import type { VirtualTime } from "./virtualTime.ts"

/** Virtual time 0, as clocks show it: 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000

/** What all parts of one run share. */
export interface World {
  readonly time: VirtualTime
  readonly network: Network
  readonly fetches: SimFetches
  /** What nodes and clients write down; absent: nothing. */
  readonly tap: Tap | undefined
  /** Notes an event for the hash and the trace. */
  readonly happened: (what: string, who: Endpoint, value: number) => void
  /** Notes that bytes arrived. */
  readonly received: (from: Endpoint, to: Endpoint, bytes: Uint8Array) => void
}

/** Prints a run's events, for people. */
export type Trace = (line: string) => void

export const makeWorld = (
  time: VirtualTime,
  network: Network,
  hash: EventHash,
  trace?: Trace,
  tap?: Tap
): World => ({
  time,
  network,
  fetches: new SimFetches(time, network),
  tap,
  happened: (what, who, value) => {
    hash.int(time.nowMs)
    hash.text(what)
    hash.int(who)
    hash.int(value)
    trace?.(`${time.nowMs} ${who}: ${what} ${value}`)
  },
  received: (from, to, bytes) => {
    hash.int(time.nowMs)
    hash.int(from)
    hash.int(to)
    hash.bytes(bytes)
  }
})
