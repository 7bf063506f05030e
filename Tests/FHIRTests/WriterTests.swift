import ExactJSON
import FHIR
import Testing

@Suite struct WriterTests {
    @Test("Numbers keep their digits and text is escaped as the exact JSON room escapes it")
    func exact() throws {
        var writer = FHIRWriter()
        writer.object {
            $0.number("value", ExactDecimal("36.60"))
            $0.string("text", "a \"quoted\" \\ line\nand æøå")
            $0.string("none", nil)
            $0.array("empty", [String]()) { text, writer in writer.string(text) }
            $0.bool("yes", true)
        }
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"value":36.60,"text":"a \"quoted\" \\ line\nand æøå","yes":true}"#)
        #expect(try JSON(parsing: writer.bytes).bytes == writer.bytes)
    }

    @Test("A value that a profile requires and nobody knows says so by extension")
    func unknown() throws {
        let json = try JSON(parsing: R4.Identifier(system: "urn:ietf:rfc:3986", value: nil).bytes)
        #expect(json["value"] == nil)
        #expect(json["_value"]?["extension"]?[0]?["valueCode"]?.string == "unknown")
    }

    @Test("A converted quantity keeps what the device sent")
    func original() throws {
        let value = try #require(ExactDecimal("16.0"))
        let quantity = R4.Quantity(120, unit: "mm[Hg]", original: .init(value: value, unit: "kPa"))
        let json = try JSON(parsing: quantity.bytes)
        #expect(json["value"]?.number == 120)
        #expect(json["code"]?.string == "mm[Hg]")
        let sent = json["extension"]?[0]?["valueQuantity"]
        #expect(sent?["value"]?.number == value)
        #expect(sent?["code"]?.string == "kPa")
    }
}

@Suite struct OutcomeTests {
    @Test("An OperationOutcome is read with its code, words and place, and written again")
    func outcome() throws {
        let text = """
            {"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"informational"},
            {"severity":"error","code":"invariant","details":{"coding":[{"code":"x","display":"why"}]},"diagnostics":"d",
            "expression":["Bundle.entry[2]"]}]}
            """
        let outcome = try #require(R4.OperationOutcome(JSON(parsing: text)))
        #expect(outcome.errors.map(\.code) == ["invariant"])
        #expect(outcome.text == "invariant: why: d: Bundle.entry[2]")
        #expect(R4.OperationOutcome(try JSON(parsing: outcome.bytes)) == outcome)
        #expect(R4.OperationOutcome(JSON.object([])) == nil)
    }

    @Test("A transaction's answer is read entry by entry")
    func response() throws {
        let text = """
            {"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created",
            "location":"Observation/1/_history/1","etag":"W/\\"1\\""}},{"response":{"status":"nonsense"}},{}]}
            """
        let response = try #require(R4.TransactionResponse(JSON(parsing: text)))
        #expect(response.entries.map(\.status) == [201, nil, nil])
        #expect(response.entries[0].location == "Observation/1/_history/1")
        #expect(R4.TransactionResponse(try JSON(parsing: #"{"resourceType":"Bundle","type":"searchset"}"#)) == nil)
    }
}
