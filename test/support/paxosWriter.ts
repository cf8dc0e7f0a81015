/** Clients whose every step would show a write that was lost, or that ran twice. */
import type { Client } from "./paxosCluster.ts"

/**
 * One key, one command at a time: cas n → n+1, get, put n+2, cas …
 * What is read after each write shows a lost one; a `cas` that ran again has the answer "conflict";
 * a `put` that ran again later takes the counter back, which the next read shows.
 */
class Writer {
  readonly key: string
  /** What the key must hold. */
  value = 0
  private readonly client: Client

  constructor(client: Client, key: string) {
    this.client = client
    this.key = key
  }

  async begin(): Promise<void> {
    await this.expect(`put ${this.key} 0`, "ok")
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

/** A few writers, each with a client and a key of its own, until `stop`. */
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

  static async start(clients: ReadonlyArray<Client>): Promise<Writers> {
    const writers = clients.map((client, i) => new Writer(client, `writer-${i}`))
    await Promise.all(writers.map((writer) => writer.begin()))
    return new Writers(writers)
  }

  /** Waits until `count` more commands are answered; fails as soon as an answer is wrong. */
  async more(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.waiting.push({ count: this.answered + count, resolve })
    })
    await Promise.race([reached, this.running])
  }

  /** Ends after the commands under way; what the keys hold then. */
  async stop(): Promise<ReadonlyArray<{ readonly key: string; readonly value: string }>> {
    this.stopping = true
    await this.running
    return this.writers.map(({ key, value }) => ({ key, value: String(value) }))
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
