/**
 * The limit: the same exchange with nothing but node:http2. One stream per node, frames of
 * (length, call, payload), one write per turn and stream; a call ends with a majority's echoes.
 */
import { type ClientHttp2Stream, connect as dial, createServer } from "node:http2"
import type { Client, ClusterBench, ClusterSettings } from "./Bench.ts"

const HEADER_BYTES = 8
const WINDOW_BYTES = 4 * 1024 * 1024
const HTTP2 = { settings: { initialWindowSize: WINDOW_BYTES } }

export const raw: ClusterBench = {
  kind: "cluster",
  about: "bare node:http2 echo with own framing, waiting for a majority: the limit",
  transports: ["link"],
  nodes: 3,
  inflight: 64,
  payloadBytes: 16,
  node: (settings, id) => serve(settings.addresses[id - 1]!),
  client: (settings) => connect(settings)
}

/** Frames out of chunks: what is left of the last frame waits for the next chunk. */
class Frames {
  private rest: Buffer = Buffer.alloc(0)
  private readonly each: (frame: Buffer, start: number, end: number) => void

  constructor(each: (frame: Buffer, start: number, end: number) => void) {
    this.each = each
  }

  take(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let start = 0
    while (bytes.length - start >= HEADER_BYTES) {
      const end = start + HEADER_BYTES + bytes.readUInt32BE(start)
      if (end > bytes.length) break
      this.each(bytes, start, end)
      start = end
    }
    this.rest = bytes.subarray(start)
  }
}

/** What is written within a turn leaves as one buffer. */
class TurnWriter {
  private buffer = Buffer.allocUnsafe(16_384)
  private length = 0
  private readonly write: (bytes: Buffer) => void

  constructor(write: (bytes: Buffer) => void) {
    this.write = write
  }

  /** The next `bytes` bytes, to be filled at once. */
  reserve(bytes: number): { readonly buffer: Buffer; readonly at: number } {
    if (this.length === 0) setImmediate(() => this.flush())
    else if (this.length + bytes > this.buffer.length) this.grow(bytes)
    if (bytes > this.buffer.length) this.grow(bytes)
    const at = this.length
    this.length += bytes
    return { buffer: this.buffer, at }
  }

  private grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(2 * (this.buffer.length + bytes))
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }

  private flush(): void {
    const bytes = Buffer.allocUnsafe(this.length)
    this.buffer.copy(bytes, 0, 0, this.length)
    this.length = 0
    this.write(bytes)
  }
}

const serve = async (address: string): Promise<void> => {
  const { hostname, port } = new URL(`http://${address}`)
  const server = createServer(HTTP2)
  server.on("session", (session) => session.setLocalWindowSize(WINDOW_BYTES))
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200 })
    const out = new TurnWriter((bytes) => stream.write(bytes))
    const frames = new Frames((from, start, end) => {
      const { buffer, at } = out.reserve(end - start)
      from.copy(buffer, at, start, end)
    })
    stream.on("data", (chunk: Buffer) => frames.take(chunk))
    stream.on("error", () => {})
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(Number(port), hostname, resolve)
  })
}

interface Call {
  echoes: number
  readonly done: (failed: boolean) => void
}

const connect = async ({ addresses, payloadBytes }: ClusterSettings): Promise<Client> => {
  const needed = Math.floor(addresses.length / 2) + 1
  const payload = Buffer.alloc(payloadBytes, 1)
  const calls = new Map<number, Call>()
  let last = 0
  const echoed = (frame: Buffer, start: number): void => {
    const id = frame.readUInt32BE(start + 4)
    const call = calls.get(id)
    if (call === undefined || ++call.echoes < needed) return
    calls.delete(id)
    call.done(false)
  }
  const outs = await Promise.all(addresses.map((address) => open(address, echoed)))
  return {
    operation: (done) => {
      last = (last + 1) >>> 0
      calls.set(last, { echoes: 0, done })
      for (const out of outs) {
        const { buffer, at } = out.reserve(HEADER_BYTES + payloadBytes)
        buffer.writeUInt32BE(payloadBytes, at)
        buffer.writeUInt32BE(last, at + 4)
        payload.copy(buffer, at + HEADER_BYTES)
      }
    },
    close: async () => {}
  }
}

const open = async (
  address: string,
  echoed: (frame: Buffer, start: number) => void
): Promise<TurnWriter> => {
  const session = dial(`http://${address}`, HTTP2)
  const stream = await new Promise<ClientHttp2Stream>((resolve, reject) => {
    session.once("error", reject).once("connect", () => {
      session.setLocalWindowSize(WINDOW_BYTES)
      const opened = session.request({ ":method": "POST" }, { endStream: false })
      opened.once("error", reject).once("response", () => resolve(opened))
    })
  })
  const frames = new Frames((frame, start) => echoed(frame, start))
  stream.on("data", (chunk: Buffer) => frames.take(chunk))
  return new TurnWriter((bytes) => stream.write(bytes))
}
