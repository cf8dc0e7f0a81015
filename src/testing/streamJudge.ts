/**
 * What must hold on every stream of the simulator: seen on the wire, and where channels are used.
 * It has its own tables, and trusts neither side.
 */
import { bytesEqual } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import type { LinkEnd } from "../link/channel.ts"
import { encodeMessage } from "../link/envelope.ts"
import { Fifo } from "../link/fifo.ts"
import { decodeFrame, type Frame } from "../link/frame.ts"
import type { Goodbye } from "../link/goodbye.ts"
import { isControl } from "../link/outbox.ts"
import type { Packet } from "../link/ports.ts"
import type { Message } from "../server/Message.ts"
import type { SimStream, Side } from "./simStream.ts"

export interface StreamJudgeOptions {
  readonly limits: Limits
  readonly name: string
  /** What is on the wire can be read. */
  readonly readable: boolean
  readonly nowMs: () => number
  readonly fail: (what: string) => void
}

/** Said on a channel by one side, and not come yet. */
interface Saying {
  readonly words: Fifo<Uint8Array>
  /** By what of which only the newest has to come. */
  readonly control: Map<string, Array<Uint8Array>>
}

/** One side's frames. */
interface Direction {
  sequence: number
  readonly flights: Fifo<{ readonly sequence: number; readonly bytes: number }>
  unacknowledged: number
  /** Bytes by channel: sent, and what the other side was heard to take. */
  readonly sent: Map<number, number>
  readonly granted: Map<number, number>
}

const makeDirection = (): Direction => ({
  sequence: 0,
  flights: new Fifo(),
  unacknowledged: 0,
  sent: new Map(),
  granted: new Map()
})

/** What no two honest sides ever tell each other. */
const FAULTS: ReadonlySet<string> = new Set([
  "malformed",
  "too_large",
  "unauthenticated",
  "altered"
])

export class StreamJudge {
  readonly #options: StreamJudgeOptions
  readonly #directions = [makeDirection(), makeDirection()] as const
  readonly #frames = new WeakMap<Packet, Frame>()
  readonly #said = new Map<string, Saying>()
  readonly #channels: [number, number] = [0, 0]
  readonly #idleSinceMs: [number, number]
  stream: SimStream | undefined

  constructor(options: StreamJudgeOptions) {
    this.#options = options
    const now = options.nowMs()
    this.#idleSinceMs = [now, now]
  }

  /** A side gives its connection a packet. */
  sent(from: Side, packet: Packet): void {
    const { readable, limits } = this.#options
    if (!readable || this.stream?.tampered !== false) return
    const frame = decodeFrame(packet.frame, limits)
    if (frame === undefined) return this.#fail("a frame that is none")
    this.#frames.set(packet, frame)
    const direction = this.#directions[from]
    if (frame.sequence !== ++direction.sequence) this.#fail(`frame ${frame.sequence} out of turn`)
    const { content } = frame
    if (content.kind === "goodbye") return this.#refuses(content.goodbye)
    const messages = content.kind === "messages" && !content.messages.every(isControl)
    if (!messages && content.kind !== "fragment") return
    const { channel } = content
    const bytes = packet.frame.length
    const { creditBytes, linkBytes } = limits
    const sum = (direction.sent.get(channel) ?? 0) + bytes
    direction.sent.set(channel, sum)
    const granted = direction.granted.get(channel) ?? creditBytes
    if (sum > granted) this.#fail(`credit: ${sum} bytes on channel ${channel}, ${granted} granted`)
    direction.flights.push({ sequence: frame.sequence, bytes })
    direction.unacknowledged += bytes
    if (direction.unacknowledged > linkBytes)
      this.#fail(`${direction.unacknowledged} bytes are not acknowledged`)
  }

  /** A packet comes, as it was sent. */
  comes(to: Side, packet: Packet): void {
    const frame = this.#frames.get(packet)
    if (frame === undefined) return
    const direction = this.#directions[to]
    const { flights, granted } = direction
    for (let next = flights.peek(); next !== undefined; next = flights.peek()) {
      if (next.sequence > frame.acknowledged) break
      direction.unacknowledged -= next.bytes
      flights.shift()
    }
    if (frame.credit > 0 && "channel" in frame.content)
      granted.set(frame.content.channel, frame.credit)
  }

  opened(side: Side): void {
    this.#channels[side]++
  }

  closed(side: Side, wasOpen: boolean, { by, goodbye }: LinkEnd): void {
    if (wasOpen && --this.#channels[side] === 0) this.#idleSinceMs[side] = this.#options.nowMs()
    if (goodbye === undefined || by === "peer") return
    if (goodbye.detail.startsWith("nothing came") && this.stream?.holds(side) === true)
      this.#fail("it is taken for dead while what came waits")
    this.#refuses(goodbye)
  }

  #refuses({ code, detail }: Goodbye): void {
    if (!FAULTS.has(code) || this.stream?.tampered !== false) return
    this.#fail(`it is cut, though nobody meddles: ${code}: ${detail}`)
  }

  /** A side has something to say on a channel. */
  says(from: Side, channel: number, message: Message): void {
    const said = this.#sayings(from, channel)
    const bytes = encodeMessage(message)
    if (!isControl(message)) return said.words.push(bytes)
    const key = keyOf(message)
    const older = said.control.get(key)
    if (older === undefined) said.control.set(key, [bytes])
    else older.push(bytes)
  }

  /** A channel hands a message on: words in order without a gap, control at most once. */
  hears(to: Side, channel: number, message: Message): void {
    const said = this.#sayings(to === 0 ? 1 : 0, channel)
    const bytes = encodeMessage(message)
    const what = `${message.kind} on channel ${channel}`
    if (!isControl(message)) {
      const due = said.words.shift()
      if (due === undefined || !bytesEqual(due, bytes)) this.#fail(`FIFO: ${what} was not due`)
      return
    }
    const waiting = said.control.get(keyOf(message)) ?? []
    const at = waiting.findIndex((one) => bytesEqual(one, bytes))
    if (at < 0) this.#fail(`FIFO: ${what} was never said, or is old`)
    else waiting.splice(0, at + 1)
  }

  /** Now and then. */
  look(): void {
    const { limits, nowMs } = this.#options
    const { helloTimeoutMs, silenceMsMax, tickMs } = limits
    const { stream } = this
    if (stream === undefined) return
    for (const side of [0, 1] as const) {
      const end = stream.ends[side]
      if (end.over || end.closing || end.events === undefined || this.#channels[side] > 0) continue
      const idleMs = nowMs() - this.#idleSinceMs[side]
      if (idleMs > helloTimeoutMs + silenceMsMax + 4 * tickMs)
        this.#fail(`nobody has had a channel on it for ${idleMs} ms`)
    }
  }

  #sayings(from: Side, channel: number): Saying {
    const key = `${from} ${channel}`
    let saying = this.#said.get(key)
    if (saying === undefined) {
      saying = { words: new Fifo(), control: new Map() }
      this.#said.set(key, saying)
    }
    return saying
  }

  #fail(what: string): void {
    this.#options.fail(`link ${this.#options.name}: ${what}`)
  }
}

const keyOf = (message: Message): string => {
  const lane = "lane" in message ? message.lane : ""
  return `${message.kind} ${lane} ${"from" in message ? message.from : ""}`
}
