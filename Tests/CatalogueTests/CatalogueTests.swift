import ExactJSON
import Glibc
import Testing
import Vitals

@testable import Catalogue

/// The project's folder of that name, from this file's own place.
func folder(_ name: String) -> String {
    #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/" + name
}

func text(_ path: String) throws -> String {
    String(decoding: try #require(TextFile.bytes(of: path), "cannot read \(path)"), as: UTF8.self)
}

@Suite struct CatalogueTests {
    let catalogue: DeviceCatalogue

    init() throws { catalogue = try DeviceCatalogue.load() }

    @Test("the compiled-in entries are the files, byte for byte (else run devices/embed.py)")
    func embedded() throws {
        let names = try #require(Directory.names(in: folder("devices"))).filter { $0.hasSuffix(".toml") }
        #expect(names == BuiltInEntry.all.map { $0.id + ".toml" })
        for entry in BuiltInEntry.all { #expect(try text(folder("devices") + "/\(entry.id).toml") == entry.text) }
    }

    @Test("the first entries are there and mean what they say")
    func entries() throws {
        #expect(
            catalogue.models.map(\.id) == [
                "and-ua-651ble", "generic-blood-pressure", "generic-pulse-oximeter", "nonin-3230", "nonin-9560",
            ])
        let cuff = try #require(catalogue["and-ua-651ble"])
        #expect(cuff.acknowledges == .confirmation)
        #expect(cuff.clock == Model.Clock(read: 0x2A08, write: 0x2A08, writesOnEveryConnect: true, liveWithoutStamp: false))
        #expect(
            cuff.session.commands == [.init(characteristic: "233bf001-5a34-1b6d-975c-000d5690abe4", bytes: [0x02, 0x00, 0xE1])])
        #expect(cuff.ranges.first == Model.Range(name: .systolic, unit: .millimetreOfMercury, low: 60, high: 279))
        let oximeter = try #require(catalogue["nonin-3230"])
        #expect(oximeter.stream == Model.StreamRule(resultFlags: [.fullyQualified], medianSeconds: 10))
        #expect(oximeter.specialization == MDC(528_388))
        let serial = try #require(catalogue["nonin-9560"])
        #expect(serial.driver == .noninSerial && serial.transport == .classicSerial && serial.acknowledges == .response)
        #expect(serial.clock.read == 0x72 && serial.clock.write == 0x72)
        #expect(serial.pairing.method == .pin && serial.pairing.ioCapability == .keyboardOnly && serial.pairing.pinHint != nil)
    }

    @Test(
        "each entry is whole: a checklist, a source mark, a link that is encrypted, commands that are known to be harmless",
        arguments: BuiltInEntry.all.map(\.id))
    func lint(_ id: String) throws {
        let model = try #require(catalogue[id])
        let checklist = try text(folder("devices") + "/\(id).md")
        for mark in ["## Done", "## Documented, not done", "## Unknown"] {
            #expect(checklist.contains(mark), "\(id).md lacks \(mark)")
        }
        let source = try text(folder("devices") + "/\(id).toml")
        #expect(source.contains("[seen]") || source.contains("[spec]"))
        #expect(id.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 })
        #expect(!model.allowsUnencryptedLink)
        // What may be written to a device: nothing that acts on a body or deletes a record. A new command is looked at here first.
        let harmless: Set<[UInt8]> = [[0x02, 0x00, 0xE1]]
        #expect(model.session.commands.allSatisfy { harmless.contains($0.bytes) })
        let match = model.match
        // The table is in each entry, so that nobody wonders whether it was thought of.
        #expect(source.contains("\n[pairing]\n") && source.contains("\ninstructions = ") && source.contains("\nproof = "))
        #expect(!match.namePrefixes.isEmpty || !match.services.isEmpty || !match.modelNumbers.isEmpty)
        #expect(id.hasPrefix("generic-") == (match.namePrefixes.isEmpty && match.modelNumbers.isEmpty))
    }

    @Test("no two entries can be matched by the same thing")
    func unambiguous() {
        let names = catalogue.models.flatMap(\.match.namePrefixes)
        #expect(Set(names).count == names.count)
        let generic = catalogue.models.filter { $0.match.namePrefixes.isEmpty && $0.match.modelNumbers.isEmpty }.flatMap(
            \.match.services)
        #expect(Set(generic).count == generic.count)
    }

    @Test(
        "a device is matched by the most specific entry",
        arguments: [
            ("A&D_UA-651BLE_A1B2C3", [0x1810], nil, nil, "and-ua-651ble"), (nil, [0x1810], nil, nil, "generic-blood-pressure"),
            ("BLEsmart_0001", [0x1810, 0x180F], nil, nil, "generic-blood-pressure"),
            (nil, [0x1822], nil, nil, "generic-pulse-oximeter"),
            ("Nonin3230_502", [0x1822], nil, nil, "nonin-3230"), (nil, [0x1822], "Nonin Medical, Inc.", "3230", "nonin-3230"),
            (nil, [0x1822], "Nonin Medical, Inc.\0\0", "3230 ", "nonin-3230"),
            (nil, [0x1822], "Someone else", "3230", "generic-pulse-oximeter"),
            (nil, [0x1810], "A&D Medical", "UA-651BLE", "and-ua-651ble"),
            (nil, [0x1810], "A&D Medical", "UA-767", "generic-blood-pressure"),
            ("Nonin_Medical_Inc._323552", [0x1101], nil, nil, "nonin-9560"), ("Lamp", [0x180F], nil, nil, nil),
            (nil, [], nil, nil, nil),
        ] as [(String?, [UInt16], String?, String?, String?)])
    func match(_ name: String?, _ services: [UInt16], _ manufacturer: String?, _ model: String?, _ expected: String?) {
        let identity = DeviceIdentity(manufacturer: manufacturer, modelNumber: model)
        #expect(catalogue.model(matching: name, services: services, identity: identity)?.id == expected)
    }

    @Test("the longest name prefix wins, and equal ranks are decided by id")
    func longest() {
        func model(_ id: String, _ prefix: String) -> Model {
            Model(
                id: id, name: id, driver: .bloodPressure, match: .init(namePrefixes: [prefix]), specialization: MDC(528_391),
                acknowledges: .confirmation)
        }
        let own = DeviceCatalogue([model("short", "BM"), model("long", "BM54"), model("b-same", "X"), model("a-same", "X")])
        #expect(own.model(matching: "BM54 1", services: [])?.id == "long")
        #expect(own.model(matching: "X1", services: [])?.id == "a-same")
    }

    @Test("the schema has exactly the keys that the loader reads")
    func schema() throws {
        let schema = try JSON(parsing: try text(folder("devices") + "/schema.json"))
        #expect(schemaKeys(schema).symmetricDifference(Model.keys) == [])
        #expect(schemaWords(schema, "result_flags") == Set(StatusFlag.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "steps") == Set(Model.Session.Step.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "quantity") == Set(Quantity.Name.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "acknowledges") == Set(Acknowledgement.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "records") == Set(Model.Records.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "users") == Set(Model.Users.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "transport") == Set(Model.Transport.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "method") == Set(Model.Pairing.Method.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "io_capability") == Set(Model.Pairing.IOCapability.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "driver") == Set(Model.Driver.allCases.map(\.rawValue)))
    }

    @Test("a directory adds entries and replaces those of equal id")
    func directory() throws {
        var template = Array("/tmp/vitalgate-catalogue-XXXXXX".utf8CString)
        let path = try #require(mkdtemp(&template).map { String(cString: $0) })
        let file = path + "/generic-blood-pressure.toml"
        defer {
            unlink(file)
            rmdir(path)
        }
        let own = BuiltInEntry.all[1].text.replacing("name = \"Blood pressure monitor\"", with: "name = \"Ours\"")
        let stream = try #require(fopen(file, "w"))
        fputs(own, stream)
        fclose(stream)
        let loaded = try DeviceCatalogue.load(directory: path)
        #expect(loaded["generic-blood-pressure"]?.name == "Ours")
        #expect(loaded.models.count == 5)
        #expect(throws: Problems.self) { try DeviceCatalogue.load(directory: path + "/absent") }
    }
}
