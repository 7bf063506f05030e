import ExactJSON

/// A checked `ClinicalImpression/$set-measurement-validity` that invalidates a measurement.
///
/// Guide 8.0.0, OperationDefinition `ClinicalImpression-t-set-measurement-validity` and `error-messages.md`. Taking an invalidation back
/// is not played.
struct FUTValidity {
    /// The ClinicalImpression as it came.
    let impression: JSON
    /// Logical id and version of the Observation.
    let measurement: String
    let version: String
    let episode: String

    private static let systems = "http://ehealth.sundhed.dk/cs/clinicalimpression-"

    private static func error(_ name: String, _ text: String) -> FUTError { FUTError("TASK_MEASUREMENT_VALIDITY_\(name)", text) }

    init(_ input: JSON, _ access: FUTAccess) throws(FUTError) {
        try access.need("ClinicalImpression$set-measurement-validity", for: "ClinicalImpression")
        let type = access.citizen.userType
        // The assessor that the operation writes is a practitioner's or a patient's.
        guard ["PATIENT", "PRACTITIONER"].contains(type) else {
            throw FUTError("SECURITY_OPERATION_NOT_ALLOWED_FOR_USER_TYPE", "Operation not allowed for user type: \(type)")
        }
        let parameters = input["parameter"]?.array ?? []
        guard parameters.count == 1, parameters[0]["name"]?.string == "clinicalImpression",
            let impression = parameters[0]["resource"], impression["resourceType"]?.string == "ClinicalImpression"
        else { throw FUTError.validation("one parameter clinicalImpression with a ClinicalImpression") }
        guard impression["status"]?.string == "completed" else {
            throw Self.error("INVALID_INITIAL_STATUS", "The initial status must be completed")
        }
        guard Self.holds(impression["code"], "codes", ["MeasurementValidityUpdate"]) else {
            throw FUTError(
                "CLINICAL_IMPRESSION_MEASUREMENT_VALIDITY_UPDATED_CODE_REQUIRED", "Code MeasurementValidityUpdate required")
        }
        guard Self.holds(impression["finding"]?[0]?["itemCodeableConcept"], "finding-codes", ["measurement-invalidated"]) else {
            throw Self.error("INVALID_FINDING_CODE", "The finding must be measurement-invalidated")
        }
        let decision = FUT.extensions(impression, "\(FUT.profiles)/ehealth-clinicalimpression-decision").first
        let decisions: Set = ["invalidated-fulfills", "invalidated-is-not-fulfillment"]
        guard Self.holds(decision?["valueCodeableConcept"], "decision-codes", decisions) else {
            throw Self.error("INVALID_DECISION_CODE", "A decision is required where a measurement is invalidated")
        }
        guard impression["subject"]?["reference"]?.string == access.patient else {
            throw FUTError(
                "SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT", "Resource not matching security token context: subject")
        }
        self.impression = impression
        (measurement, version) = try Self.subject(of: impression, access)
        let reference = FUT.extensions(impression, FUT.episodeExtension).first?["valueReference"]?["reference"]?.string
        guard let episode = FUTAccess.id(reference, of: "EpisodeOfCare", at: access.endpoints.carePlan) else {
            throw FUTError.validation("the episode of care is required")
        }
        self.episode = episode
    }

    /// The Observation named twice: with the version that was assessed, and without.
    private static func subject(of impression: JSON, _ access: FUTAccess) throws(FUTError) -> (id: String, version: String) {
        let items = (impression["investigation"]?[0]?["item"]?.array ?? []).compactMap { $0["reference"]?.string }
        let base = access.endpoints.measurement
        guard items.count == 2, let id = items.lazy.compactMap({ FUTAccess.id($0, of: "Observation", at: base) }).first,
            let versioned = items.first(where: { $0.hasPrefix("\(base)/Observation/\(id)/_history/") }),
            let version = versioned.split(separator: "/").last
        else { throw error("INVALID_MEASUREMENT_REFERENCE", "A versioned and an unversioned reference to one measurement") }
        return (id, String(version))
    }

    private static func holds(_ concept: JSON?, _ system: String, _ codes: Set<String>) -> Bool {
        concept?["coding"]?.array?.contains {
            $0["system"]?.string == systems + system && codes.contains($0["code"]?.string ?? "")
        } ?? false
    }

    /// Against what is stored.
    func check(_ stored: FUTMeasurements.Stored) throws(FUTError) {
        guard stored.episode == episode, String(stored.version) == version else {
            throw Self.error("REFERENCE_MISMATCH", "The measurement has another version or episode of care")
        }
        guard !stored.isInvalidated else {
            throw Self.error("INVALID_PREVIOUS_EXPECTING_INVALIDATION_RETRACTION", "The measurement is invalidated already")
        }
    }

    /// The impression as it is kept, with the version that the measurement got.
    func answer(id: String, modified: String) -> JSON {
        let item: JSON = [
            "code": FUT.coded(Self.systems + "investigation-item-codes", "item-modified"), "item": [FUT.reference(modified)],
        ]
        return impression.setting("id", to: .string(id))
            .setting("investigation", to: .array((impression["investigation"]?.array ?? []) + [item]))
    }
}
