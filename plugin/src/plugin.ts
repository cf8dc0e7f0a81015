/** protoc-gen-quorate: typed services from the method options of quorate/v1/options.proto. */
import { create } from "@bufbuild/protobuf"
import { CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt"
import {
  createEcmaScriptPlugin,
  type GeneratedFile,
  type Plugin,
  type Schema
} from "@bufbuild/protoplugin"
import { isOurs, Problems, readService } from "./options.ts"
import { printDts, printJs, printMessages, printTs, type Service } from "./print.ts"

const VERSION = "0.1.0"

/** What the user has to change: the answer of this run, and no crash of the plugin. */
class Refused extends Error {}

const read = (schema: Schema): ReadonlyMap<Schema["files"][number], ReadonlyArray<Service>> => {
  if (schema.options.jsImportStyle !== "module") {
    throw new Refused("quorate has ES modules only; remove the option js_import_style")
  }
  const problems = new Problems()
  const files = new Map(
    schema.files.map((file) => [
      file,
      file.services
        .filter(isOurs)
        .map((desc): Service => ({ desc, methods: readService(desc, problems) }))
    ])
  )
  if (problems.lines.length > 0) throw new Refused(problems.lines.join("\n"))
  return files
}

const EXTENSIONS = { none: "", js: ".js", ts: ".ts" } as const

const each =
  (suffix: string, print: (f: GeneratedFile, service: Service) => void) =>
  (schema: Schema): void => {
    for (const [file, services] of read(schema)) {
      if (services.length === 0) continue
      const f = schema.generateFile(`${file.name}_quorate${suffix}`)
      printMessages(f, file, EXTENSIONS[schema.options.importExtension])
      for (const service of services) print(f, service)
    }
  }

const generator = createEcmaScriptPlugin({
  name: "protoc-gen-quorate",
  version: `v${VERSION}`,
  generateTs: each(".ts", printTs),
  generateJs: each(".js", printJs),
  generateDts: each(".d.ts", printDts)
})

export const plugin: Plugin = {
  ...generator,
  run: (request) => {
    try {
      return generator.run(request)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return create(CodeGeneratorResponseSchema, { error: error.message })
    }
  }
}
