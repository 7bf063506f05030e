import ExactJSON
import Glibc
import Testing

/// The program as people and scripts run it.
@Suite("the command line", .enabled(if: Program.built != nil, "the program vitalgate is not built beside the tests"))
struct CommandTests {
    private func run(_ arguments: String..., in scratch: Scratch = Scratch()) async throws -> Program.Ending {
        try await #require(Program.built).run(arguments, in: scratch)
    }

    @Test("--help of every subcommand says how it is used, and ends with 0")
    func help() async throws {
        let program = try #require(Program.built)
        let dump = try await program.run(["--experimental-dump-help"])
        let root = try #require(dump.json?["command"])
        var paths: [[String]] = [[]]
        func walk(_ command: JSON, _ path: [String]) {
            for child in command["subcommands"]?.array ?? [] {
                guard let name = child["commandName"]?.string, name != "help" else { continue }
                paths.append(path + [name])
                walk(child, path + [name])
            }
        }
        walk(root, [])
        #expect(paths.count > 30)
        for path in [
            "run", "demo", "simulate", "status", "doctor", "adapter", "decode", "convert", "config", "devices", "assign",
            "return",
            "readings", "outbox",
        ] {
            #expect(paths.contains([path]), "\(path)")
        }
        let scratch = Scratch()
        for path in paths {
            let ending = try await program.run(path + ["--help"], in: scratch)
            #expect(ending.code == 0, "\(path)")
            let isUsage = ending.out.contains("USAGE: vitalgate")
            #expect(isUsage, "\(path)")
            #expect(ending.error.isEmpty, "\(path)")
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var code: Int32
        init(_ code: Int32, _ arguments: String...) {
            self.code = code
            self.arguments = arguments
        }
        var testDescription: String { arguments.joined(separator: " ") }
    }

    private static let nobody = ["--socket", "/nonexistent/control.sock"]

    @Test(
        "what cannot be done ends with its own code and says what, why and what to do in three lines",
        arguments: [
            Row(69, "status"), Row(69, "status", "--json"), Row(69, "devices", "list"), Row(69, "devices", "show", "cuff"),
            Row(69, "devices", "show", "cuff", "--log", "--limit", "5"),
            Row(69, "assign", "cuff", "--patient", "p1"), Row(69, "return", "cuff"), Row(69, "readings", "list"),
            Row(69, "readings", "show", "abcdef"), Row(69, "outbox", "list"), Row(69, "outbox", "retry"),
            Row(69, "clock", "declare"), Row(69, "adapter", "reset"),
            Row(69, "adapter", "capture", "start", "--reason", "x"), Row(69, "adapter", "capture", "stop"),
            Row(69, "adapter", "capture", "status", "--json"), Row(69, "adapter", "capture", "export", "/nonexistent/file"),
            Row(69, "adapter", "capture", "delete"),
        ])
    func noDaemon(_ row: Row) async throws {
        let ending = try await #require(Program.built).run(row.arguments + Self.nobody)
        #expect(ending.code == row.code)
        #expect(ending.errorLines.count == 3, "\(ending.error)")
        #expect(ending.errorLines.allSatisfy { !$0.isEmpty })
        #expect(ending.out.isEmpty)
    }

    @Test(
        "wrong usage ends with 64",
        arguments: [
            Row(64, "no-such-command"), Row(64, "status", "--no-such-option"), Row(64, "decode"),
            Row(64, "decode", "--format", "gatt:2a35"),
            Row(64, "decode", "--format", "no:such", "--hex", "00"), Row(64, "devices", "show"), Row(64, "assign", "cuff"),
            Row(64, "simulate", "cuff", "--scenario", "no-such"), Row(64, "readings", "list", "--limit", "many"),
            Row(64, "adapter", "capture", "start"), Row(64, "adapter", "capture", "export"),
        ])
    func usage(_ row: Row) async throws {
        let ending = try await #require(Program.built).run(row.arguments)
        #expect(ending.code == 64, "\(ending.error)")
        #expect(!ending.error.isEmpty)
    }

    @Test("decode prints the device's words as one JSON object")
    func decode() async throws {
        let ending = try await run(
            "decode", "--format", "gatt:2a35", "--hex", "DE F6 F4 16 F3 FF 07 E4 07 01 14 08 2B 00 B2 F2 01 80 00", "--json")
        #expect(ending.code == 0)
        let json = try #require(ending.json)
        #expect(json["kind"]?.string == "blood-pressure")
        #expect(json["systolic"]?.text == "127.0")
        #expect(json["diastolic"]?.text == "79.0")
        #expect(json["mean"] == .null)
        #expect(json["deviceTime"]?.string == "2020-01-20T08:43:00")
        #expect(json["userIndex"]?.integer == 1)
        #expect(ending.error.isEmpty)
    }

    @Test("decode of several frames is an object a line, and one that is bad ends with 65")
    func decodeSeveral() async throws {
        let good = try await run("decode", "--format", "sfloat-le", "--hex", "cff3", "--hex", "FF07", "--json")
        #expect(good.code == 0)
        let lines = good.out.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(try JSON(parsing: Array(lines[0].utf8))["value"]?.text == "97.5")
        #expect(try JSON(parsing: Array(lines[1].utf8))["special"]?.string == "nan")
    }

    @Test(
        "bytes that are no value end with 65, with code and offset",
        arguments: [("gatt:2a35", "DEF6"), ("gatt:2a35", "zz"), ("gatt:2a5e", ""), ("sfloat-le", "0102030405")])
    func undecodable(_ format: String, _ hex: String) async throws {
        let ending = try await run("decode", "--format", format, "--hex", hex, "--json")
        #expect(ending.code == 65)
        let error = try #require(ending.json?["error"])
        #expect(error["code"]?.string?.isEmpty == false)
        #expect(error["offset"]?.integer != nil)
        #expect(error["message"]?.string?.isEmpty == false)
        let told = try await run("decode", "--format", format, "--hex", hex)
        #expect(told.code == 65)
        #expect(told.errorLines.count == 3)
    }

    @Test("a configuration with a fault ends with 78: config check names line and key, run says three lines")
    func configuration() async throws {
        let scratch = Scratch()
        let path = scratch.write("[hub]\nstate_directory = 7\n\n[[receiver]]\nname = \"a\"\nkind = \"nothing\"\n", to: "bad.toml")
        let check = try await run("config", "check", "--config", path)
        #expect(check.code == 78)
        let namesLine = check.out.contains(":2") && check.out.contains("state_directory")
        #expect(namesLine, "\(check.out)")
        for arguments in [["run", "--config", path], ["run", "--config", scratch.path + "/absent.toml"]] {
            let ending = try await #require(Program.built).run(arguments, in: scratch)
            #expect(ending.code == 78, "\(ending.error)")
            #expect(ending.errorLines.count >= 3)
        }
    }

    @Test("a good configuration passes the check")
    func goodConfiguration() async throws {
        let scratch = Scratch()
        let ending = try await run("config", "check", "--config", scratch.configuration(), "--json", in: scratch)
        #expect(ending.code == 0, "\(ending.out)")
        #expect(ending.json != nil)
    }

    @Test("a state directory that cannot be made ends with 73")
    func unwritable() async throws {
        let scratch = Scratch()
        // Not even root can make a directory in a device.
        let ending = try await run("run", "--config", scratch.configuration(state: "/dev/null/state"), in: scratch)
        #expect(ending.code == 73, "\(ending.error)")
        #expect(ending.errorLines.suffix(3).count == 3)
    }
}

@Suite("the daemon as a process", .enabled(if: Program.built != nil, "the program vitalgate is not built beside the tests"))
struct DaemonTests {
    @Test("it starts, answers, refuses a second one on its state, and stops on SIGTERM")
    func life() async throws {
        let program = try #require(Program.built)
        let scratch = Scratch()
        let config = scratch.configuration()
        let daemon = try program.start(["run", "--config", config], in: scratch)
        let socket = scratch.path + "/control.sock"
        let isUp = try await eventually { access(socket, W_OK) == 0 }
        #expect(isUp, "\(daemon.error)")

        let status = try await program.run(["status", "--json", "--config", config], in: scratch)
        #expect(status.code == 0, "\(status.error)")
        #expect(status.json?["version"]?.string?.isEmpty == false)
        #expect(status.json?["receivers"]?["clinic"]?["waiting"]?.integer == 0)
        let key = (status.json?["conditions"]?.array ?? []).compactMap { $0["code"]?.string }
        #expect(key == ["no-key-protection"])

        // Devices and assignments, as a technician does it; what is refused is refused in three lines.
        let add = [
            "devices", "add", "cuff", "--model", "and-ua-651ble", "--bearer", "socket:\(scratch.path)/cuff.sock", "--socket",
            socket,
        ]
        #expect(try await program.run(add, in: scratch).code == 0)
        let twice = try await program.run(add, in: scratch)
        #expect(twice.code != 0)
        #expect(twice.errorLines.count == 3)
        #expect(try await program.run(["assign", "cuff", "--patient", "p1", "--socket", socket], in: scratch).code == 0)
        let other = try await program.run(["assign", "cuff", "--patient", "p2", "--socket", socket], in: scratch)
        #expect(other.code != 0)
        let devices = try await program.run(["devices", "--json", "--socket", socket], in: scratch)
        #expect(devices.json?["name"]?.string == "cuff")
        #expect(devices.json?["patients"]?.array?.compactMap(\.string) == ["p1"])
        #expect(try await program.run(["readings", "show", "abcdef", "--socket", socket], in: scratch).code != 0)

        let second = try await program.run(["run", "--config", config], in: scratch)
        #expect(second.code == 75, "\(second.error)")
        #expect(second.error.contains("in use by another process"), "\(second.error)")
        // The first one has not noticed.
        #expect(try await program.run(["status", "--socket", socket], in: scratch).code == 0)

        let ending = try await daemon.end(signal: SIGTERM)
        #expect(ending.code == 0, "\(ending.error)")
        #expect(access(socket, F_OK) != 0)
        let after = try await program.run(["status", "--config", config], in: scratch)
        #expect(after.code == 69)
    }

    @Test("killed in the middle, it starts again on the same state")
    func killed() async throws {
        let program = try #require(Program.built)
        let scratch = Scratch()
        let config = scratch.configuration()
        let socket = scratch.path + "/control.sock"
        let first = try program.start(["run", "--config", config], in: scratch)
        #expect(try await eventually { access(socket, W_OK) == 0 })
        let add = [
            "devices", "add", "cuff", "--model", "and-ua-651ble", "--bearer", "socket:\(scratch.path)/cuff.sock", "--socket",
            socket,
        ]
        #expect(try await program.run(add, in: scratch).code == 0)
        let killed = try await first.end(signal: SIGKILL)
        #expect(killed.code == -SIGKILL)
        // The dead one's socket is still there: nobody answers.
        #expect(try await program.run(["status", "--socket", socket], in: scratch).code == 69)
        let second = try program.start(["run", "--config", config], in: scratch)
        let isBack = try await eventually {
            try await program.run(["devices", "show", "cuff", "--socket", socket], in: scratch).code == 0
        }
        #expect(isBack, "\(second.error)")
        #expect(try await second.end(signal: SIGTERM).code == 0)
    }

    @Test("another key does not open the state, and the state is untouched")
    func wrongKey() async throws {
        let program = try #require(Program.built)
        let scratch = Scratch()
        let config = scratch.configuration()
        let first = try program.start(["run", "--config", config], in: scratch)
        #expect(try await eventually { access(scratch.path + "/control.sock", W_OK) == 0 })
        #expect(try await first.end(signal: SIGTERM).code == 0)
        let key = scratch.path + "/key"
        rename(key, key + ".right")
        _ = scratch.write(String(repeating: "k", count: 64), to: "key")
        let wrong = try await program.run(["run", "--config", config], in: scratch)
        #expect(wrong.code == 78, "\(wrong.error)")
        #expect(wrong.errorLines.count >= 3)
        chmod(key, 0o644)
        let exposed = try await program.run(["run", "--config", config], in: scratch)
        #expect([77, 78].contains(exposed.code), "\(exposed.error)")
        rename(key + ".right", key)
        let again = try program.start(["run", "--config", config], in: scratch)
        #expect(try await eventually { access(scratch.path + "/control.sock", W_OK) == 0 })
        #expect(try await again.end(signal: SIGTERM).code == 0)
    }
}
