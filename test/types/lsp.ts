/** Asks the compiler what an editor would show: `tsc --lsp` over standard input and output. */
import { type ChildProcess, spawn } from "node:child_process"
import { pathToFileURL } from "node:url"
import { ROOT } from "../support/repo.ts"

interface Position {
  readonly line: number
  readonly character: number
}
export interface Diagnostic {
  readonly range: { readonly start: Position }
  readonly message: string
}
interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: any
  readonly result?: any
  readonly error?: unknown
}

export class LanguageServer {
  private readonly process: ChildProcess
  private readonly waiting = new Map<number, (message: Message) => void>()
  private read = Buffer.alloc(0)
  private ids = 0

  constructor() {
    this.process = spawn(`${ROOT}node_modules/.bin/tsc`, ["--lsp", "--stdio"], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "inherit"]
    })
    this.process.stdout!.on("data", (chunk: Buffer) => this.onData(chunk))
  }

  async start(): Promise<void> {
    await this.request("initialize", {
      processId: process.pid,
      rootUri: pathToFileURL(ROOT).href,
      capabilities: { textDocument: { hover: { contentFormat: ["markdown"] }, diagnostic: {} } }
    })
    this.send({ method: "initialized", params: {} })
  }

  /** Shows `text` as the content of the file at `path`, whatever the disk holds. */
  open(path: string, text: string): void {
    const textDocument = { uri: this.uri(path), languageId: "typescript", version: 1, text }
    this.send({ method: "textDocument/didOpen", params: { textDocument } })
  }

  async diagnostics(path: string): Promise<ReadonlyArray<Diagnostic>> {
    const textDocument = { uri: this.uri(path) }
    const report = await this.request("textDocument/diagnostic", { textDocument })
    return report.items
  }

  /** What is shown over the token at `position`; lines and characters count from 0. */
  async hover(path: string, position: Position): Promise<string> {
    const textDocument = { uri: this.uri(path) }
    const hover = await this.request("textDocument/hover", { textDocument, position })
    const text: string = hover?.contents?.value ?? "(nothing)"
    return text.replaceAll(/```(typescript|ts|tsx)?\n?/g, "").trim()
  }

  stop(): void {
    this.process.kill()
  }

  private uri(path: string): string {
    return pathToFileURL(ROOT + path).href
  }

  private async request(method: string, params: unknown): Promise<any> {
    const id = ++this.ids
    const answer = new Promise<Message>((resolve) => this.waiting.set(id, resolve))
    this.send({ id, method, params })
    const { result, error } = await answer
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`)
    return result
  }

  private send(message: Message): void {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message })
    this.process.stdin!.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  }

  private onData(chunk: Buffer): void {
    this.read = Buffer.concat([this.read, chunk])
    for (;;) {
      const head = this.read.indexOf("\r\n\r\n")
      if (head < 0) return
      const length = Number(/Content-Length: (\d+)/i.exec(this.read.toString("utf8", 0, head))![1])
      const end = head + 4 + length
      if (this.read.length < end) return
      const message = JSON.parse(this.read.toString("utf8", head + 4, end)) as Message
      this.read = this.read.subarray(end)
      this.onMessage(message)
    }
  }

  private onMessage(message: Message): void {
    if (message.id === undefined) return
    if (message.method === undefined) {
      this.waiting.get(message.id)?.(message)
      this.waiting.delete(message.id)
    } else if (message.method === "workspace/configuration") {
      this.send({ id: message.id, result: message.params.items.map(() => ({})) })
    } else this.send({ id: message.id, result: null })
  }
}
