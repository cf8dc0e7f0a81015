/** Runs generators over proto texts: in a folder of its own, with buf as the compiler. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type CodeGeneratorResponse,
  CodeGeneratorResponseSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema
} from "@bufbuild/protobuf/wkt"
import { plugin } from "../../plugin/src/plugin.ts"

const repo = new URL("../..", import.meta.url).pathname

/** Compiles proto files (path to text), which may import `quorate/v1/*.proto`. */
export const compileProtos = (files: Record<string, string>): FileDescriptorSet => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-protos-"))
  try {
    cpSync(join(repo, "proto/quorate"), join(folder, "quorate"), { recursive: true })
    writeFileSync(join(folder, "buf.yaml"), "version: v2\n")
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const output = "-#format=bin"
    const build = run("buf", ["build", "--as-file-descriptor-set", "-o", output], undefined, folder)
    return fromBinary(FileDescriptorSetSchema, build)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const run = (
  command: string,
  args: ReadonlyArray<string>,
  input: Uint8Array | undefined,
  cwd = repo
): Uint8Array => {
  const result = spawnSync(join(repo, "node_modules/.bin", command), args, {
    cwd,
    ...(input && { input }),
    maxBuffer: 1 << 26
  })
  if (result.status !== 0) throw new Error(`${command}: ${result.stderr}`)
  return result.stdout
}

export const requestFor = (
  set: FileDescriptorSet,
  fileToGenerate: ReadonlyArray<string>,
  parameter: string
): CodeGeneratorRequest =>
  create(CodeGeneratorRequestSchema, {
    fileToGenerate: [...fileToGenerate],
    parameter,
    protoFile: set.file
  })

const contents = (response: CodeGeneratorResponse): Record<string, string> =>
  Object.fromEntries(response.file.map((file) => [file.name, file.content]))

/** What protoc-gen-quorate prints, by path; throws what it refuses. */
export const quorate = (request: CodeGeneratorRequest): Record<string, string> => {
  const response = plugin.run(request)
  if (response.error !== "") throw new Error(response.error)
  return contents(response)
}

/** What a generator prints that is a program of its own. */
export const printedBy = (command: string, request: CodeGeneratorRequest): CodeGeneratorResponse =>
  fromBinary(
    CodeGeneratorResponseSchema,
    run(command, [], toBinary(CodeGeneratorRequestSchema, request))
  )

export const es = (request: CodeGeneratorRequest): Record<string, string> =>
  contents(printedBy("protoc-gen-es", request))
