import ExactJSON
import HTTPMessage

/// What an error code of the guide asks for.
///
/// Source: guide 8.0.0 and 10.0.2, page "Error Messages". Which HTTP status comes with which, and where in the OperationOutcome the
/// code stands, is not documented: the code is looked for in `details` and `diagnostics`, and outranks the status.
enum FUTReaction: Int, Hashable, CaseIterable {
    /// Another patient is meant by what was sent than by the plan or the token: nothing more of this channel, at once.
    case wrongPatient
    /// Nothing of this channel can pass: the kind of user may not do it at all.
    case hold
    /// A token with the right context is needed.
    case context
    /// Look first whether it is there already.
    case reconcile
    /// The plan moved on: decide anew to which request it goes, then send again or keep it.
    case reassign
    /// Refused for what it is.
    case refuse
    /// The service failed; what was sent is not at fault.
    case failure
}

enum FUTErrors {
    /// The strongest reaction to the error codes in an answer, with the code; `nil` where there is no code that the guide has.
    static func reaction(to body: JSON?) -> (code: String, reaction: FUTReaction)? {
        var strongest: (code: String, reaction: FUTReaction)?
        for code in codes(in: body) {
            guard let reaction = reaction(to: code) else { continue }
            if strongest.map({ reaction.rawValue < $0.reaction.rawValue }) ?? true { strongest = (code, reaction) }
        }
        return strongest
    }

    /// The table; a code of a submission's family that it does not list yet is a refusal, since it is about what was sent.
    static func reaction(to code: String) -> FUTReaction? {
        if let listed = table[code] { return listed }
        if code.hasPrefix("MEASUREMENT_SUBMITMEASUREMENT_") { return .refuse }
        if code.hasPrefix("SECURITY_") { return .context }
        return nil
    }

    /// The words of an OperationOutcome's errors that have the form of the guide's codes.
    static func codes(in body: JSON?) -> [String] {
        guard let body, body["resourceType"]?.string == "OperationOutcome" else { return [] }
        var codes: [String] = []
        for issue in body["issue"]?.array ?? [] {
            let severity = issue["severity"]?.string
            guard severity != "warning", severity != "information" else { continue }
            let details = issue["details"]
            var texts = (details?["coding"]?.array ?? []).compactMap { $0["code"]?.string }
            texts += [details?["text"]?.string, issue["diagnostics"]?.string].compactMap { $0 }
            for text in texts {
                for word in text.split(whereSeparator: { !isCodeCharacter($0) }) where word.contains("_") && word.first != "_" {
                    codes.append(String(word))
                }
            }
        }
        return codes
    }

    private static func isCodeCharacter(_ character: Character) -> Bool {
        character == "_" || ("A"..."Z").contains(character) || ("0"..."9").contains(character)
    }

    /// The code as the journal and the page name it: short, small letters and hyphens.
    static func name(of code: String) -> String {
        var rest = code[...]
        for prefix in ["MEASUREMENT_SUBMITMEASUREMENT_", "MEASUREMENT_", "TASK_MEASUREMENT_VALIDITY_", "TASK_", "GENERAL_"]
        where rest.hasPrefix(prefix) {
            rest = rest.dropFirst(prefix.utf8.count)
            break
        }
        let letters = rest.lowercased().map { $0 == "_" ? "-" : $0 }.filter { $0 == "-" || ("a"..."z").contains($0) }
        var name = String(letters.prefix(32))
        while name.hasSuffix("-") { name.removeLast() }
        return name.isEmpty ? "error" : name
    }

    private static func all(_ prefix: String, _ reaction: FUTReaction, _ codes: [String]) -> [(String, FUTReaction)] {
        codes.map { (prefix + $0, reaction) }
    }

    static let table: [String: FUTReaction] = Dictionary(
        uniqueKeysWithValues: submission + validity + search + security + devices + general)

    private static let submission =
        all(
            "MEASUREMENT_SUBMITMEASUREMENT_", .reassign,
            // The request was paused or ended; or the slot is none any more.
            ["PROCEDURE_REQUEST_IS_NOT_ACTIVE", "INVALID_RESOLVED_TIMING"])
        + all(
            "MEASUREMENT_SUBMITMEASUREMENT_", .wrongPatient,
            ["INPUT_FOR_DIFFERENT_PATIENTS", "INPUT_NOT_PART_OF_SAME_EPISODEOFCARE", "DIFFERENT_PATIENT_REFERENCE"])
        + all(
            "MEASUREMENT_SUBMITMEASUREMENT_", .refuse,
            [
                "INVALID_OBSERVATION_CODE",
                // Requests that this code never makes: faults of ours, visible as refusals.
                "INVALID_STATUS", "EMPTY_INPUT_BUNDLE", "INPUT_BUNDLE_CONTAINS_NONE_OF_EXPECTED_RESOURCES",
                "INPUT_BUNDLE_CONTAINS_INVALID_RESOURCES", "INPUT_SHOULD_REFERENCE_PATIENT",
                "INPUT_SHOULD_REFERENCE_EPISODEOFCARE", "INPUT_SHOULD_REFERENCE_RELATEDPERSON", "MORE_THAN_ONE_DEVICE_QUALITY",
                // Reuse of an earlier measurement.
                "INPUT_PROVENANCE_INVALID_POLICY", "INPUT_PROVENANCE_REFERENCE_MISSING", "INPUT_PROVENANCE_NOT_SINGLE_TARGET",
                "INPUT_PROVENANCE_TARGET_AND_ENTITY_SHOULD_BE_SAME_TYPE",
                "INPUT_PROVENANCE_TARGET_AND_ENTITY_SHOULD_REFERENCE_SAME_PATIENT",
                "INPUT_PROVENANCE_TARGET_AND_ENTITY_SHOULD_USE_SAME_DATE", "INPUT_PROVENANCE_ENTITY_IS_REUSING",
                "INPUT_PROVENANCE_INVALID", "INPUT_PROVENANCE_NOT_SINGLE_ENTITY", "REUSE_NOT_ALLOWED",
                "ASSOCIATED_QUALITY_NOT_PRESENT", "QUALITY_IS_NOT_SUBSUMED", "RESOURCE_TO_OLD_TO_BE_USED_FOR_REUSE",
                "DURATION_UNIT_CODE_UNKNOWN",
                // Questionnaires and aggregation.
                "INVALID_QUESTIONNAIRE_REFERENCE", "ACTIVITYDEFINITION_MISSING_QUESTIONNAIRE_REFERENCE", "TOO_MANY_ANSWERS",
                "TOO_FEW_ANSWERS", "SERVICEREQUEST_NOT_MARKED_FOR_AGGREGATION", "INVALID_RESOURCE_FOR_AGGREGATION",
            ])

    /// `$set-measurement-validity`: "already so" and "another version" are for a look at the Observation.
    private static let validity =
        all(
            "TASK_MEASUREMENT_VALIDITY_", .reconcile,
            ["REFERENCE_MISMATCH", "INVALID_PREVIOUS_EXPECTING_INVALIDATION_RETRACTION", "MULTIPLE_PREVIOUS"])
        + all(
            "TASK_MEASUREMENT_VALIDITY_", .refuse,
            [
                "INVALID_MEASUREMENT_REFERENCE", "INVALID_INVESTIGATION_ITEM_TYPE", "INVALID_FINDING_CODE_ON_PREVIOUS",
                "INVALID_INITIAL_STATUS", "INVALID_DECISION_CODE", "INVALID_FINDING_CODE", "MISSING_PREVIOUS",
                "INVALID_PREVIOUS_EXPECTING_INVALIDATION",
            ])
        + all(
            "CLINICAL_IMPRESSION_", .refuse,
            ["VALIDATION_STATE_FINDING_CODE_NOT_ALLOWED", "MEASUREMENT_VALIDITY_UPDATED_CODE_REQUIRED"])

    /// Of the two search operations, which this code does not call, and of reading media.
    private static let search =
        all(
            "MEASUREMENT_SEARCHMEASUREMENT_", .refuse,
            [
                "PERIOD_NOT_SPECIFIED", "PATIENT_AND_EPISODE_NOT_SPECIFIED",
                "PATIENT_AND_EPISODE_AND_SERVICEREQUEST_NOT_SPECIFIED",
                "COUNT_NOT_SPECIFIED", "COUNT_LIMIT_EXCEEDED", "START_OR_END_NOT_SPECIFIED", "START_AND_END_BOTH_SPECIFIED",
                "UNSUPPORTED_REFERENCE", "UNSUPPORTED_DEVICE_REFERENCE", "UNSUPPORTED_BASEDON_REFERENCE",
                "REFERENCED_RESOURCE_NOT_FOUND",
            ])
        + all(
            "MEASUREMENT_GET_", .refuse, ["DATA_NO_DATA_FOUND", "THUMBNAIL_DATA_NO_DATA_FOUND", "THUMBNAIL_DATA_NOT_SUPPORTED"])

    private static let security =
        all(
            "SECURITY_", .context,
            [
                "TOKEN_CONTEXT_MISSING", "TOKEN_CONTEXT_MISSING_CONTEXT", "TOKEN_CONTEXT_NOT_ALLOWED",
                "TOKEN_INSUFFICIENT_PERMISSION", "RESOURCE_NOT_MATCHING_TOKEN_CONTEXT", "USER_NOT_ALLOWED",
                "SEARCH_PARAM_NOT_MATCHING_TOKEN_CONTEXT",
            ])
        + all(
            "SECURITY_", .hold,
            ["OPERATION_NOT_ALLOWED_FOR_USER_TYPE", "SEARCH_PARAMS_MANDATORY", "SEARCH_OPERATION_POST_CONSTRAINT"])
        + [("CONTEXT_VALIDATION_EPISODEOFCARE_EXCEPTION", .context)]

    private static let devices =
        all("DEVICE_", .wrongPatient, ["WRONG_PATIENT_CONTEXT", "WRITE_WRONG_PATIENT_CONTEXT"])
        + all(
            "DEVICE_", .hold,
            [
                "WRITE_WRONG_ORGANIZATION_CONTEXT", "METRIC_WRITE_WRONG_ORGANIZATION_CONTEXT",
                "USE_STATEMENT_WRITE_WRONG_ORGANIZATION_CONTEXT", "WRITE_NON_PRIVATELY_OWNED",
            ])
        + all("DEVICE_", .refuse, ["USE_STATEMENT_MISSING_CONTEXT"])

    private static let general =
        // What the target refers to is gone: another plan holds now.
        all("GENERAL_", .reassign, ["RESOURCE_NOT_FOUND"])
        + all(
            "GENERAL_", .refuse,
            [
                "VALIDATION_ERROR", "SUBJECT_AND_CONTEXT_NOT_PROVIDED", "TIMING_VALIDATION_ERROR",
                "VALIDATION_ERROR_NO_OCCURRENCE",
                "TIMING_OCCURENCE_WITHOUT_START_VALIDATION_ERROR", "TRIGGER_ENABLEMENT_VALIDATION_ERROR",
                "CANONICAL_TARGET_NOT_ALLOWED_ERROR", "NAMING_SYSTEM_NOT_FOUND",
            ])
        + all("GENERAL_", .failure, ["EXPORT_FAILED", "FIELD_ACCESS_FAILURE", "FIELD_COMPARE_FAILURE"])
        // A tag of ours that the episode of care does not have: we send none.
        + [("SYSTEM_TAG_UNEXPECTED_TAG", .refuse)]
}
