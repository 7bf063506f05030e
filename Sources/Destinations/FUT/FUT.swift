import ExactJSON
import HTTPMessage

/// The small shapes that FUT's resources are made of, and the headers of its requests.
enum FUT {
    static let jsonType = HTTPHeader("content-type", "application/fhir+json; charset=utf-8")
    static let accept = HTTPHeader("accept", "application/fhir+json")
    static let postHeaders = [jsonType, accept]
    static let questionHeaders = [accept, HTTPHeader("cache-control", "no-cache")]

    static func reference(_ reference: String) -> JSON { ["reference": .string(reference)] }

    static func concept(_ coding: FUTCoding) -> JSON { ["coding": [coding.json]] }
}

extension FUTCoding {
    init?(_ json: JSON) {
        guard let system = json["system"]?.string, let code = json["code"]?.string else { return nil }
        self.init(system, code)
    }

    var json: JSON { ["system": .string(system), "code": .string(code)] }
}
