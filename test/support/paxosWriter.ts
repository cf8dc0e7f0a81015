/** Clients whose every step would show a write that was lost, or that ran twice. */
import type { Client } from "./paxosCluster.ts"

/** What a key must hold in the end. */
export interface Held {
  readonly key: string
  readonly value: string
}

/** One client, one command at a time. */
interface Writer {
  readonly step: (turn: number) => Promise<void>
  /** Once all writers have ended. */
  readonly held: () => Held
}

/**
 * A key of its own: cas n → n+1, get, put n+2, cas …
 * What is read after each write shows a lost one; a `cas` that ran again has the answer "conflict";
 * a `put` that ran again later takes the counter back, which the next read shows.
 */
class Counter implements Writer {
  private readonly client: Client
  private readonly key: string
  private value = 0

  private constructor(client: Client, key: string) {
    this.client = client
    this.key = key
  }

  static async begin(client: Client, key: string): Promise<Counter> {
    const counter = new Counter(client, key)
    await counter.expect(`put ${key} 0`, "ok")
    return counter
  }

  held(): Held {
    return { key: this.key, value: String(this.value) }
  }

  async step(turn: number): Promise<void> {
    const { key, value } = this
    if (turn % 3 === 1) return await this.expect(`get ${key}`, String(value))
    const next = value + 1
    await this.expect(turn % 3 === 0 ? `cas ${key} ${value} ${next}` : `put ${key} ${next}`, "ok")
    this.value = next
  }

  private async expect(line: string, answer: string): Promise<void> {
    const got = await this.client.execute(line)
    if (got !== answer) throw new Error(`"${line}" gave "${got}", not "${answer}"`)
  }
}

/**
 * A key of two players, who push it up and down and count how often it moved. A push that ran twice
 * moves it once more than anybody was told, if the other player had pushed it back; one that was
 * lost moves it less often.
 */
class Ball {
  private readonly key: string
  private ups = 0
  private downs = 0

  private constructor(key: string) {
    this.key = key
  }

  static async begin(client: Client, key: string): Promise<Ball> {
    await client.execute(`put ${key} down`)
    return new Ball(key)
  }

  player(client: Client): Writer {
    const push = async (from: string, to: string): Promise<number> =>
      (await client.execute(`cas ${this.key} ${from} ${to}`)) === "ok" ? 1 : 0
    return {
      step: async (turn) => {
        const rises = turn % 2 === 0
        const moved = rises ? await push("down", "up") : await push("up", "down")
        if (rises) this.ups += moved
        else this.downs += moved
      },
      held: () => {
        const { key, ups, downs } = this
        if (ups === downs) return { key, value: "down" }
        return { key, value: ups === downs + 1 ? "up" : `${ups} times up, ${downs} times down` }
      }
    }
  }
}

/** They come back in any order, so commands in flight are repeated in another order than before. */
const CLIENTS = 4
const COUNTERS = 2
const BALLS = 6

/** A few clients with many commands in flight, until `stop`. */
export class Writers {
  /** Commands answered. */
  answered = 0
  private readonly writers: ReadonlyArray<Writer>
  private readonly running: Promise<unknown>
  private stopping = false
  private waiting: Array<{ readonly count: number; readonly resolve: () => void }> = []

  private constructor(writers: ReadonlyArray<Writer>) {
    this.writers = writers
    this.running = Promise.all(writers.map((writer) => this.run(writer)))
    this.running.catch(() => {})
  }

  static async start(makeClient: () => Client): Promise<Writers> {
    const clients = Array.from({ length: CLIENTS }, makeClient)
    const client = (i: number): Client => clients[i % CLIENTS]!
    const counters = await Promise.all(
      Array.from({ length: COUNTERS }, (_, i) => Counter.begin(client(i), `counter-${i}`))
    )
    const balls = await Promise.all(
      Array.from({ length: BALLS }, (_, i) => Ball.begin(client(i), `ball-${i}`))
    )
    const players = balls.flatMap((ball, i) => [ball.player(client(i)), ball.player(client(i + 1))])
    return new Writers([...counters, ...players])
  }

  /** Waits until `count` more commands are answered; fails as soon as an answer is wrong. */
  async more(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.waiting.push({ count: this.answered + count, resolve })
    })
    await Promise.race([reached, this.running])
  }

  /** Ends after the commands under way; what the keys must hold then. */
  async stop(): Promise<ReadonlyArray<Held>> {
    this.stopping = true
    await this.running
    return this.writers.map((writer) => writer.held())
  }

  private async run(writer: Writer): Promise<void> {
    for (let turn = 0; !this.stopping; turn++) {
      await writer.step(turn)
      this.answered++
      const due = this.waiting.filter(({ count }) => count <= this.answered)
      this.waiting = this.waiting.filter(({ count }) => count > this.answered)
      for (const { resolve } of due) resolve()
    }
  }
}
