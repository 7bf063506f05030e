import ArgumentParser
import ExactJSON

/// What `make bench` measures of this program; the peers stand under `Benchmarks/`.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Parts of `make bench`.", shouldDisplay: false,
        subcommands: [Conversions.self, Commits.self, Deliveries.self, Fill.self])

    struct Conversions: AsyncParsableCommand {
        @Option var count = 20_000
        @Option var store: String
        @Flag var json = false
        func run() async throws { Output.line(try await Bench.conversions(count, store: store).text) }
    }

    struct Commits: AsyncParsableCommand {
        @Option var count = 500
        @Option var directory: String
        @Flag var json = false
        func run() async throws { Output.line(try await Bench.commits(count, directory: directory).text) }
    }

    struct Deliveries: AsyncParsableCommand {
        @Option var count = 500
        @Option var base: String
        @Flag var json = false
        func run() async throws { Output.line(try await Bench.deliveries(count, base: base).text) }
    }

    struct Fill: AsyncParsableCommand {
        @Option var config: String
        @Option var count = 100_000
        @Flag var json = false
        func run() async throws {
            try await Output.ending { Output.line(try await Bench.fill(count, configuration: try .loadOrExplain(config)).text) }
        }
    }
}
