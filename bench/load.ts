/** Load: starts operations, closed loop or open loop, and takes the time of each. */
import { performance } from "node:perf_hooks"
import { build, type Histogram } from "hdr-histogram-js"
import type { Measured, Operation, Settings } from "./Bench.ts"

/** Open loop: how far behind a stuck group may get before operations fail unstarted. */
const OPEN_MAX = 50_000
const NS_PER_MS = 1e6

export type Latencies = Pick<Measured, "p50Us" | "p99Us" | "p999Us" | "maxUs">

/** Latencies in nanoseconds, three digits, up to a minute. */
export const makeHistogram = (): Histogram =>
  build({ highestTrackableValue: 60e9, numberOfSignificantValueDigits: 3, autoResize: true })

export const latenciesOf = (histogram: Histogram): Latencies => {
  const us = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1000
  return { p50Us: us(50), p99Us: us(99), p999Us: us(99.9), maxUs: histogram.maxValue / 1000 }
}

export class Load {
  private readonly operation: Operation
  private readonly settings: Settings
  private histogram = makeHistogram()
  private measuring = false
  private stopped = false
  private open = 0
  private operations = 0
  /** Those of the warm-up too: what fails there measures nothing worth having later. */
  private errors = 0
  private startedMs = 0
  private idle: (() => void) | undefined
  private ended: (() => void) | undefined

  constructor(settings: Settings, operation: Operation) {
    this.settings = settings
    this.operation = operation
  }

  /** Begins to load; nothing is recorded yet. */
  start(): void {
    if (this.settings.ratePerSec === undefined) {
      for (let i = 0; i < this.settings.inflight; i++) this.next()
    } else {
      this.openLoop(this.settings.ratePerSec)
    }
  }

  /** What ends from now on is recorded. */
  measure(): void {
    this.histogram = makeHistogram()
    this.operations = 0
    this.measuring = true
    this.startedMs = performance.now()
  }

  /** Where nothing ended since `measure`: once something has. A window without any says nothing. */
  async some(): Promise<void> {
    if (this.operations + this.errors > 0) return
    await new Promise<void>((resolve) => (this.ended = resolve))
  }

  /** Ends recording; the load goes on until `stop`, so that no process falls idle meanwhile. */
  measured(): Pick<Measured, "operations" | "errors" | "elapsedUs"> & Latencies {
    const elapsedUs = (performance.now() - this.startedMs) * 1000
    this.measuring = false
    const { operations, errors, histogram } = this
    return { operations, errors, elapsedUs, ...latenciesOf(histogram) }
  }

  /** Starts nothing more and waits for what is under way. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.open > 0) await new Promise<void>((resolve) => (this.idle = resolve))
  }

  /** Closed loop: each operation that ends starts the next. */
  private next(): void {
    if (this.stopped) return
    this.run(performance.now(), () => this.next())
  }

  /** Open loop: operations start when they are due, and their time runs from then. */
  private openLoop(ratePerSec: number): void {
    const beganMs = performance.now()
    let begun = 0
    const turn = () => {
      if (this.stopped) return
      const due = Math.floor(((performance.now() - beganMs) * ratePerSec) / 1000)
      for (; begun < due; begun++) {
        if (this.open < OPEN_MAX) this.run(beganMs + (begun * 1000) / ratePerSec, undefined)
        else this.errors++
      }
      setTimeout(turn, 1)
    }
    turn()
  }

  private run(startMs: number, then: (() => void) | undefined): void {
    let within = true
    this.open++
    this.operation((failed) => {
      this.open--
      if (failed) this.errors++
      else if (this.measuring) {
        this.operations++
        this.histogram.recordValue(Math.round((performance.now() - startMs) * NS_PER_MS))
      }
      if (this.operations + this.errors > 0) this.ended?.()
      if (this.stopped && this.open === 0) this.idle?.()
      // What fails at once must not recurse, nor keep the event loop from everything else.
      if (then !== undefined) within || failed ? setImmediate(then) : then()
    })
    within = false
  }
}
