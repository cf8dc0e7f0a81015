/**
 * What signatures cost: words signed and verified as a host does it, a batch a turn on the threads
 * of the platform, and the same one by one on this thread, in turns, so that both meet the same
 * machine. An operation is one word, said and verified by one receiver. Then reliable broadcasts
 * among four hosts, with signatures and without, in turns too.
 */
import type { VerifyJob } from "../src/link/ports.ts"
import { type Scope, wordPreimage } from "../src/link/proofs.ts"
import { makeSigner, nodeVerifier, verify } from "../src/runtime/platform-node/nodeKeys.ts"
import type { LocalBench, Measured, Settings } from "./Bench.ts"
import { latenciesOf, makeHistogram } from "./load.ts"
import { SignedBroadcast } from "./signedBroadcast.ts"
import { usageNow } from "./usage.ts"

export const proofs: LocalBench = {
  kind: "local",
  about:
    "ed25519 of words, --inflight of them a batch: µs a word on threads, of which on the main " +
    "thread, and one by one on the main thread; CPU of a reliable broadcast of four hosts",
  transports: ["link"],
  nodes: 1,
  inflight: 64,
  payloadBytes: 16,
  run: (settings) => run(settings)
}

const scope: Scope = { digest: new Uint8Array(32).fill(1), epoch: 0 }
const signer = makeSigner()

/** Wall time, and CPU time of this thread and of all, in µs. */
class Clock {
  wallUs = 0
  threadUs = 0
  cpuUs = 0
  private startMs = 0
  private startCpuUs = 0
  private start = process.threadCpuUsage()

  /** First what was left by others ends: the jobs of `node:crypto` are let go of a turn later. */
  async begin(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1))
    this.start = process.threadCpuUsage()
    this.startCpuUs = usageNow().cpuUs
    this.startMs = performance.now()
  }
  end(): void {
    this.wallUs += (performance.now() - this.startMs) * 1000
    const { user, system } = process.threadCpuUsage(this.start)
    this.threadUs += user + system
    this.cpuUs += usageNow().cpuUs - this.startCpuUs
  }
  clear(): void {
    this.wallUs = this.threadUs = this.cpuUs = 0
  }
}

const run = async (settings: Settings): Promise<Measured> => {
  await new Words(settings).runFor(settings.warmupSeconds)
  const words = new Words(settings)
  const cpu = usageNow().cpuUs
  await words.runFor(settings.seconds)
  const measured = words.measured(usageNow().cpuUs - cpu)
  const broadcasts = new Broadcasts(settings)
  await broadcasts.runFor(settings.seconds)
  const errors = measured.errors + broadcasts.errors
  return { ...measured, errors, more: { ...measured.more, ...broadcasts.costs() } }
}

/** Broadcasts of unsigned hosts for each of signed ones, so that both are measured as long. */
const PLAIN_MORE = 8

class Broadcasts {
  private readonly plain: SignedBroadcast
  private readonly signed: SignedBroadcast
  private readonly inflight: number
  private readonly spent = { plain: new Clock(), signed: new Clock() }
  private blocks = 0

  constructor({ inflight, payloadBytes }: Settings) {
    this.inflight = inflight
    this.plain = new SignedBroadcast(false, payloadBytes)
    this.signed = new SignedBroadcast(true, payloadBytes)
  }

  get errors(): number {
    return this.plain.errors + this.signed.errors
  }

  async runFor(seconds: number): Promise<void> {
    await this.block()
    for (const clock of Object.values(this.spent)) clock.clear()
    const endMs = performance.now() + seconds * 1000
    this.blocks = 0
    do await this.block()
    while (performance.now() < endMs)
    this.plain.close()
    this.signed.close()
  }

  costs(): NonNullable<Measured["more"]> {
    const { plain, signed } = this.spent
    const count = this.blocks * this.inflight
    const each = (us: number): number => Math.round((us / count) * 10) / 10
    return {
      broadcastCpuUs: each(plain.cpuUs / PLAIN_MORE),
      broadcastMainUs: each(plain.threadUs / PLAIN_MORE),
      signedBroadcastCpuUs: each(signed.cpuUs),
      signedBroadcastMainUs: each(signed.threadUs)
    }
  }

  private async block(): Promise<void> {
    const { plain, signed, spent, inflight } = this
    await spent.plain.begin()
    await plain.run(inflight * PLAIN_MORE, inflight)
    spent.plain.end()
    await spent.signed.begin()
    await signed.run(inflight, inflight)
    spent.signed.end()
    this.blocks++
  }
}

class Words {
  private readonly count: number
  private readonly bodies: ReadonlyArray<Uint8Array>
  private readonly sign = new Clock()
  private readonly check = new Clock()
  private readonly signHere = new Clock()
  private readonly checkHere = new Clock()
  private readonly histogram = makeHistogram()
  private index = 0
  private words = 0
  private beforeUs = 0
  private errors = 0

  constructor({ inflight, payloadBytes }: Settings) {
    this.count = inflight
    this.bodies = Array.from({ length: inflight }, () => new Uint8Array(payloadBytes))
  }

  async runFor(seconds: number): Promise<void> {
    const endMs = performance.now() + seconds * 1000
    do await this.block()
    while (performance.now() < endMs)
  }

  measured(cpuUs: number): Measured {
    const { words, errors, sign, check, signHere, checkHere } = this
    const each = (us: number): number => Math.round((us / words) * 10) / 10
    return {
      operations: words,
      errors,
      elapsedUs: sign.wallUs + check.wallUs,
      ...latenciesOf(this.histogram),
      // Both ways together.
      cpuUs: { client: 0, nodes: cpuUs / 2 },
      rssBytes: usageNow().rssBytes,
      more: {
        signUs: each(sign.wallUs),
        signMainUs: each(sign.threadUs),
        verifyUs: each(check.wallUs),
        verifyMainUs: each(check.threadUs),
        oneByOneSignUs: each(signHere.wallUs),
        oneByOneVerifyUs: each(checkHere.wallUs)
      }
    }
  }

  private async block(): Promise<void> {
    const { count, sign, check, signHere, checkHere } = this
    await sign.begin()
    const messages = this.preimages()
    const signatures = await new Promise<ReadonlyArray<Uint8Array>>((resolve) =>
      signer.sign(messages, resolve)
    )
    sign.end()
    const key = signer.publicKey
    await check.begin()
    const jobs = messages.map((message, i): VerifyJob => {
      return { key, message, signature: signatures[i]! }
    })
    const valid = await new Promise<ReadonlyArray<boolean>>((resolve) =>
      nodeVerifier.verify(jobs, resolve)
    )
    check.end()
    this.errors += valid.filter((it) => !it).length
    await signHere.begin()
    const here = this.preimages().map(signer.signNow)
    signHere.end()
    await checkHere.begin()
    for (const [i, message] of this.preimages().entries()) {
      if (!verify(key, message, here[i]!)) this.errors++
    }
    checkHere.end()
    this.index += count
    this.words += count
    const wallUs = sign.wallUs + check.wallUs
    this.histogram.recordValue(Math.round(((wallUs - this.beforeUs) / count) * 1000))
    this.beforeUs = wallUs
  }

  private preimages(): ReadonlyArray<Uint8Array> {
    return this.bodies.map((body, i) =>
      wordPreimage(scope, {
        lane: "slots",
        index: this.index + i + 1,
        method: 1,
        round: 0,
        author: 1,
        body
      })
    )
  }
}
