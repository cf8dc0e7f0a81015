/**
 * A TCP proxy that does what networks do to connections: delays, slow lines, cuts at any byte,
 * ends that only one side learns of, turned bits, stand-stills, refusals. Each connection draws its
 * faults from the proxy's seed; a test or soak also acts on all that are there.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { Prng } from "../../src/base/prng.ts"

/** What one direction of a connection suffers; bytes count from the connection's begin. */
export interface Faults {
  /** What comes passes on this much later. */
  readonly delayMs?: number
  /** A slow line: no faster than this. */
  readonly bytesPerMs?: number
  /** From this byte on nothing passes, and nobody is told: the connection is half open. */
  readonly swallowAfter?: number
  /** Behind this byte the connection is reset, on both sides. */
  readonly resetAfter?: number
  /** One bit of this byte is turned. */
  readonly flipAt?: number
}

/** `up`: from who dialled. */
export interface Drawn {
  readonly up?: Faults
  readonly down?: Faults
}
type Direction = keyof Drawn

/** What becomes of new connections. Swallowed ones are accepted, and lead nowhere. */
export type Admission = "pass" | "swallow" | "reset"

export interface ProxyOptions {
  /** `host:port` */
  readonly target: string
  readonly seed?: number
  /** For each new connection, the first of which is 1. Default: none. */
  readonly draw?: (random: Prng, connection: number) => Drawn
}

const NONE: Drawn = {}
/** Bytes of one direction that wait for their time; beyond, its sender waits. */
const WAITING_BYTES_MAX = 262_144

export class FaultProxy {
  admission: Admission = "pass"
  draw: (random: Prng, connection: number) => Drawn
  /** Accepted until now. */
  accepted = 0
  private readonly random: Prng
  private readonly target: string
  private readonly server: Server
  private readonly tunnels = new Set<Tunnel>()
  /** Connections that lead nowhere. */
  private readonly sinks = new Set<Socket>()
  private paused = false

  private constructor({ target, seed = 1, draw = () => NONE }: ProxyOptions) {
    this.target = target
    this.random = new Prng(seed)
    this.draw = draw
    this.server = createServer({ allowHalfOpen: true }, (near) => this.accept(near))
  }

  static open(options: ProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options)
    return new Promise((opened, failed) => {
      proxy.server.once("error", failed)
      proxy.server.listen(0, "127.0.0.1", () => opened(proxy))
    })
  }

  /** Where it listens, `host:port`. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Connections that are there now. */
  get connections(): number {
    return this.tunnels.size + this.sinks.size
  }

  /** Bytes that came in, both ways, over the connections that are there now. */
  get bytes(): number {
    let sum = 0
    for (const { up, down } of this.tunnels) sum += up.taken + down.taken
    return sum
  }

  /** Ends all connections; `end` is what an orderly close looks like. */
  cut(how: "reset" | "end" = "reset"): void {
    for (const tunnel of [...this.tunnels]) {
      if (how === "reset") tunnel.reset()
      else tunnel.end()
    }
    for (const socket of this.sinks) socket.resetAndDestroy()
  }

  /** All connections become half open: what is said from now on is lost, and nobody is told. */
  swallow(...directions: ReadonlyArray<Direction>): void {
    const which = directions.length === 0 ? (["up", "down"] as const) : directions
    for (const tunnel of this.tunnels) for (const way of which) tunnel[way].swallow()
  }

  /** Nothing is read any more, so that senders run full, until {@link resume}. */
  pause(): void {
    this.paused = true
    for (const tunnel of this.tunnels) tunnel.pause()
  }

  resume(): void {
    this.paused = false
    for (const tunnel of this.tunnels) tunnel.resume()
  }

  /** Ends everything and frees the port. */
  close(): Promise<void> {
    return new Promise((closed) => {
      this.server.close(() => closed())
      this.cut()
    })
  }

  private accept(near: Socket): void {
    near.on("error", () => {})
    const drawn = this.draw(this.random, ++this.accepted)
    if (this.admission === "reset") {
      near.resetAndDestroy()
      return
    }
    if (this.admission === "swallow") {
      this.sinks.add(near.resume())
      near.once("close", () => this.sinks.delete(near))
      return
    }
    const tunnel = new Tunnel(near, this.target, drawn, () => this.tunnels.delete(tunnel))
    this.tunnels.add(tunnel)
    if (this.paused) tunnel.pause()
  }
}

class Tunnel {
  readonly up: Way
  readonly down: Way
  private readonly sockets: ReadonlyArray<Socket>
  private readonly gone: () => void

  constructor(near: Socket, target: string, drawn: Drawn, gone: () => void) {
    const at = target.lastIndexOf(":")
    const [host, port] = [target.slice(0, at), Number(target.slice(at + 1))]
    const far = connect({ host, port, allowHalfOpen: true })
    this.sockets = [near, far]
    this.gone = gone
    this.up = new Way(near, far, drawn.up ?? {}, () => this.reset())
    this.down = new Way(far, near, drawn.down ?? {}, () => this.reset())
    for (const [socket, way] of [
      [near, this.up],
      [far, this.down]
    ] as const) {
      socket.setNoDelay(true)
      socket.on("error", () => {})
      socket.once("close", (failed) => {
        // Of a half open connection the other side learns nothing.
        if (failed && !way.swallowing) this.reset()
        if (this.sockets.every(({ destroyed }) => destroyed)) this.reset()
      })
    }
  }

  reset(): void {
    this.up.stop()
    this.down.stop()
    for (const socket of this.sockets) if (!socket.destroyed) socket.resetAndDestroy()
    this.gone()
  }

  end(): void {
    this.up.end()
    this.down.end()
  }

  pause(): void {
    this.up.hold(true)
    this.down.hold(true)
  }

  resume(): void {
    this.up.hold(false)
    this.down.hold(false)
  }
}

interface Waiting {
  /** Absent: the sender ended. */
  readonly bytes: Uint8Array | undefined
  readonly dueMs: number
}

/** One direction of a connection. */
class Way {
  /** Bytes that came in. */
  taken = 0
  swallowing = false
  private readonly from: Socket
  private readonly to: Socket
  private readonly faults: Faults
  private readonly reset: () => void
  private readonly waiting: Array<Waiting> = []
  private waitingBytes = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  /** When a slow line is free again. */
  private freeMs = 0
  private held = false
  private full = false

  constructor(from: Socket, to: Socket, faults: Faults, reset: () => void) {
    this.from = from
    this.to = to
    this.faults = faults
    this.reset = reset
    from.on("data", (bytes: Uint8Array) => this.take(bytes))
    from.once("end", () => this.queue(undefined))
    to.on("drain", () => this.flow((this.full = false)))
  }

  stop(): void {
    clearTimeout(this.timer)
    this.waiting.length = 0
    this.swallowing = true
  }

  swallow(): void {
    this.swallowing = true
  }

  end(): void {
    this.swallowing = true
    this.to.end()
  }

  hold(held: boolean): void {
    this.held = held
    this.flow(this.full)
  }

  private flow(full: boolean): void {
    if (this.held || full || this.waitingBytes > WAITING_BYTES_MAX) this.from.pause()
    else this.from.resume()
  }

  private take(bytes: Uint8Array): void {
    const { swallowAfter = Infinity, resetAfter = Infinity, flipAt = Infinity } = this.faults
    const start = this.taken
    this.taken += bytes.length
    if (this.swallowing) return
    if (flipAt >= start && flipAt < this.taken) bytes[flipAt - start]! ^= 1 << (flipAt & 7)
    const passed = Math.min(bytes.length, swallowAfter - start, resetAfter - start)
    if (passed > 0) this.queue(passed < bytes.length ? bytes.subarray(0, passed) : bytes)
    if (this.taken >= resetAfter) this.resetSoon()
    if (this.taken > swallowAfter) this.swallowing = true
  }

  /** Once all before it has left. */
  private resetSoon(): void {
    this.swallowing = true
    if (this.waiting.length > 0) this.waiting.push({ bytes: undefined, dueMs: this.freeMs })
    else this.to.write("", () => this.reset())
  }

  private queue(bytes: Uint8Array | undefined): void {
    const { delayMs = 0, bytesPerMs } = this.faults
    if (bytes === undefined && this.swallowing) return
    if (delayMs === 0 && bytesPerMs === undefined) return this.pass(bytes)
    const nowMs = performance.now()
    const dueMs = Math.max(nowMs + delayMs, this.freeMs)
    this.freeMs = bytesPerMs === undefined ? dueMs : dueMs + (bytes?.length ?? 0) / bytesPerMs
    this.waiting.push({ bytes, dueMs })
    this.waitingBytes += bytes?.length ?? 0
    this.flow(this.full)
    this.arm()
  }

  private arm(): void {
    const next = this.waiting[0]
    if (next === undefined || this.timer !== undefined) return
    this.timer = setTimeout(
      () => {
        this.timer = undefined
        this.due()
      },
      Math.max(0, next.dueMs - performance.now())
    )
  }

  private due(): void {
    const nowMs = performance.now()
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (next.dueMs > nowMs + 0.5) break
      this.waiting.shift()
      this.waitingBytes -= next.bytes?.length ?? 0
      this.pass(next.bytes)
    }
    this.flow(this.full)
    this.arm()
  }

  private pass(bytes: Uint8Array | undefined): void {
    if (bytes === undefined && this.taken >= (this.faults.resetAfter ?? Infinity)) {
      this.to.write("", () => this.reset())
    } else if (bytes === undefined) this.to.end()
    else if (!this.to.write(bytes)) this.flow((this.full = true))
  }
}
