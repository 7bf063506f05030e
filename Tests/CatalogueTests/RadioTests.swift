import Testing
import Vitals

@testable import Catalogue

@Suite struct RadioTests {
    func model(_ lines: String, top: String = "") throws -> Model {
        try Model(toml: (top + "\n" + MalformedEntryTests.good + "\n" + lines).utf8, id: "cuff", file: "cuff.toml")
    }

    @Test("an entry that says nothing of the radio has the defaults")
    func defaults() throws {
        let cuff = try model("")
        #expect(cuff.transport == .le)
        #expect(cuff.pairing == Model.Pairing())
        #expect(cuff.pairing.method == .justWorks && cuff.pairing.ioCapability == .noInputNoOutput)
        #expect(!cuff.pairing.instructions.isEmpty && !cuff.pairing.proof.isEmpty && cuff.pairing.pinHint == nil)
        #expect(
            cuff.connection
                == Model.Connection(intervalMinimum: 12, intervalMaximum: 24, latency: 0, supervisionTimeout: 200))
    }

    @Test("the tables are read, milliseconds as the units of the radio")
    func tables() throws {
        let cuff = try model(
            """
            [pairing]
            method = "passkey"
            pin_hint = "on the back"
            instructions = "Hold START."
            proof = "Take a reading."
            [connection]
            interval_min_ms = 7.5
            interval_max_ms = 48.75
            latency = 4
            supervision_timeout_ms = 6000
            """)
        #expect(
            cuff.pairing
                == Model.Pairing(
                    method: .passkey, ioCapability: .keyboardOnly, pinHint: "on the back", instructions: "Hold START.",
                    proof: "Take a reading."))
        #expect(
            cuff.connection == Model.Connection(intervalMinimum: 6, intervalMaximum: 39, latency: 4, supervisionTimeout: 600))
    }

    /// Core, volume 3, part H, table 2.8: the rows and columns that a hub needs, as its cells read.
    @Test(
        "the method decides what the hub claims to have",
        arguments: [
            (.justWorks, .le, .noInputNoOutput), (.none, .le, .noInputNoOutput), (.passkey, .le, .keyboardOnly),
            (.numeric, .le, .keyboardDisplay), (.numeric, .classicSerial, .displayYesNo), (.pin, .classicSerial, .keyboardOnly),
        ] as [(Model.Pairing.Method, Model.Transport, Model.Pairing.IOCapability)])
    func capability(_ method: Model.Pairing.Method, _ transport: Model.Transport, _ expected: Model.Pairing.IOCapability) {
        #expect(Model.Pairing.IOCapability.standard(for: method, over: transport) == expected)
        #expect(expected.permits(method))
    }

    @Test("the numbers of the capabilities are the Security Manager's")
    func codes() {
        #expect(Model.Pairing.IOCapability.allCases.map(\.code) == [0, 1, 2, 3, 4])
    }

    @Test(
        "what cannot work is refused with its key",
        arguments: [
            ("[pairing]\nmethod = \"pin\"\npin_hint = \"on the door\"", "pairing.method", "Classic only"),
            ("[pairing]\nmethod = \"none\"", "pairing.method", "not encrypted"),
            ("[pairing]\npin_hint = \"on the door\"", "pairing.pin_hint", "no digits"),
            ("[pairing]\nmethod = \"passkey\"\nio_capability = \"display-only\"", "pairing.io_capability", "cannot come about"),
            ("[pairing]\nmethod = \"numeric\"\nio_capability = \"keyboard-only\"", "pairing.io_capability", "cannot come about"),
            ("[pairing]\nmethod = \"touch\"", "pairing.method", "no such word"),
            ("[pairing]\nproof = \"\"", "pairing.proof", "empty"),
            ("[pairing]\nhow = \"so\"", "pairing.how", "no such key"),
            ("[connection]\ninterval_min_ms = 7", "connection.interval_min_ms", "no interval"),
            ("[connection]\ninterval_min_ms = 6.25", "connection.interval_min_ms", "no interval"),
            ("[connection]\ninterval_max_ms = 15.001", "connection.interval_max_ms", "no interval"),
            ("[connection]\ninterval_max_ms = 4001.25", "connection.interval_max_ms", "no interval"),
            ("[connection]\ninterval_max_ms = 1e300", "connection.interval_max_ms", ""),
            ("[connection]\ninterval_min_ms = 50", "connection.interval_min_ms", "below the shortest"),
            ("[connection]\ninterval_max_ms = 10", "connection.interval_max_ms", "below the shortest"),
            ("[connection]\nlatency = 500", "connection.latency", "outside"),
            ("[connection]\nlatency = 40", "connection.latency", "(1 + latency)"),
            ("[connection]\nsupervision_timeout_ms = 425", "connection.supervision_timeout_ms", "multiple of 10"),
            ("[connection]\nsupervision_timeout_ms = 90", "connection.supervision_timeout_ms", "outside"),
            (
                "[connection]\ninterval_max_ms = 1000\nsupervision_timeout_ms = 2000", "connection.supervision_timeout_ms",
                "(1 + latency)"
            ),
        ])
    func refused(_ lines: String, _ key: String, _ why: String) throws {
        let problems = try #require(throws: Problems.self) { try model(lines) }
        #expect(problems.all.contains { $0.key == key && $0.why.contains(why) && !$0.remedy.isEmpty }, "\(problems)")
    }

    @Test("a driver of attributes has no serial port, and a serial port no parameters of LE")
    func transport() throws {
        let problems = try #require(throws: Problems.self) {
            try model("[connection]\nlatency = 0", top: "transport = \"classic-serial\"")
        }
        #expect(Set(problems.all.compactMap(\.key)) == ["transport", "connection"])
    }

    @Test("a serial driver has its own clock, word and transport, and a PIN that somebody can find")
    func serial() throws {
        let good = """
            name = "Oximeter"
            driver = "nonin-serial"
            transport = "classic-serial"
            specialization = 528388
            acknowledges = "response"
            users = "single"
            records = "unsent"
            [clock]
            read = 0x72
            [pairing]
            method = "pin"
            pin_hint = "on the door"
            """
        func problems(_ line: String, _ with: String) -> [String] {
            do throws(Problems) {
                _ = try Model(toml: good.replacing(line, with: with).utf8, id: "x", file: "x.toml")
                return []
            } catch {
                return error.all.compactMap(\.key)
            }
        }
        #expect(problems("", "") == [])
        #expect(problems("read = 0x72", "read = 0x2A2B") == ["clock.read"])
        #expect(problems("\"response\"", "\"confirmation\"") == ["acknowledges"])
        #expect(problems("transport = \"classic-serial\"", "") == ["pairing.method", "driver"])
        #expect(problems("pin_hint = \"on the door\"", "") == ["pairing.method"])
        #expect(problems("pin_hint", "io_capability = \"keyboard-display\"\npin_hint") == ["pairing.io_capability"])
    }

    @Test("Core's rule for the supervision timeout, at its edge")
    func supervision() {
        // (1 + 0) * 1,000 ms * 2 = 2,000 ms, which the timeout must exceed.
        #expect(!Model.Connection(intervalMaximum: 800, supervisionTimeout: 200).isTimeoutLongEnough)
        #expect(Model.Connection(intervalMaximum: 800, supervisionTimeout: 201).isTimeoutLongEnough)
        // (1 + 499) * 32 s is beyond every timeout that there is.
        #expect(!Model.Connection(intervalMaximum: 3_200, latency: 499, supervisionTimeout: 3_200).isTimeoutLongEnough)
    }

    @Test(
        "an advertisement finds the most specific entry",
        arguments: [
            ("A&D_UA-651BLE_A1B2C3", [0x1810], 0x0069, "and-ua-651ble"), ("A&D_UA-651BLE_A1B2C3", [], nil, "and-ua-651ble"),
            // A maker's other models are not this one.
            (nil, [0x1810], 0x0069, "generic-blood-pressure"), (nil, [], 0x0069, nil),
            ("Nonin3230_502912345", [0x1822, 0x1810], nil, "nonin-3230"), ("BM54", [0x1810], 0x0611, "generic-blood-pressure"),
            (nil, [0x180F, 0x1822], nil, "generic-pulse-oximeter"), ("Lamp", [0x180F], 0x004C, nil), (nil, [], nil, nil),
        ] as [(String?, [UInt16], UInt16?, String?)])
    func advertisement(_ name: String?, _ services: [UInt16], _ company: UInt16?, _ expected: String?) throws {
        let catalogue = try DeviceCatalogue.load()
        #expect(catalogue.model(matching: name, services: services, manufacturerCompany: company)?.id == expected)
    }

    @Test("a company decides between equal prefixes, and finds a maker's own entry before the generic one")
    func company() {
        func model(_ id: String, _ match: Model.Match) -> Model {
            Model(
                id: id, name: id, driver: .bloodPressure, match: match, specialization: MDC(528_391),
                acknowledges: .confirmation)
        }
        let own = DeviceCatalogue([
            model("a", .init(namePrefixes: ["BM"])), model("b", .init(namePrefixes: ["BM"], manufacturerCompany: 0x0611)),
            model("generic", .init(services: [0x1810])),
            model("maker", .init(services: [0x1810], manufacturerCompany: 0x0099)),
        ])
        #expect(own.model(matching: "BM1", services: [])?.id == "a")
        #expect(own.model(matching: "BM1", services: [], manufacturerCompany: 0x0611)?.id == "b")
        #expect(own.model(matching: "X", services: [0x1810], manufacturerCompany: 0x0611)?.id == "generic")
        #expect(own.model(matching: "X", services: [0x1810], manufacturerCompany: 0x0099)?.id == "maker")
        #expect(own.model(matching: "X", services: [], manufacturerCompany: 0x0099) == nil)
    }
}
