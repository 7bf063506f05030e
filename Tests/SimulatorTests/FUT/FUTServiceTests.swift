import ExactJSON
import HTTPMessage
import Simulator
import Testing
import Vitals

@Suite("FUT simulator: the services", .timeLimit(.minutes(1)))
struct FUTServiceTests {
    private static let options = FUTRun.settings { _ in }

    @Test("the plan's rows name request, version, slot, type and counts; a change is a new version")
    func procedures() async throws {
        try await FUTRun.with(Self.options) { run in
            let token = try await run.token()
            let answer = await run.procedures(token: token, extra: true)
            #expect(answer.status == 200)
            #expect(answer.json?["type"]?.string == "collection")
            var rows = answer.rows
            // Pressure twice (once as Extra), saturation, pulse.
            #expect(rows.count == 4)
            let saturation = try #require(rows.first { $0["Activity"]?.string == "Iltmætning" })
            #expect(saturation["ServiceRequest"]?["reference"]?.string == "\(run.endpoints.carePlan)/ServiceRequest/3002")
            #expect(saturation["ServiceRequestVersionId"]?.string == "1")
            #expect(saturation["TimingType"]?["coding"]?[0]?["code"]?.string == "Resolved")
            #expect(saturation["OccurrencesRequested"]?.integer == 2)
            #expect(saturation["TotalSubmitted"] == nil)
            let extra = try #require(rows.first { $0["TimingType"]?["coding"]?[0]?["code"]?.string == "Extra" })
            #expect(extra["ResolvedTimingStart"] == .some(.null))

            let change: JSON = [
                "citizen": "anna",
                "episodes": [
                    [
                        "id": "2001",
                        "requests": [
                            ["id": "3002", "timing": "adhoc"], ["id": "3003", "status": "completed"],
                            [
                                "id": "3009", "code": "NPU03804", "activity": "Vægt",
                                "timing": ["daily": ["minute": 0, "minutes": 1_440]],
                            ],
                        ],
                    ]
                ],
            ]
            #expect(await run.control("citizen", change).status == 200)
            rows = await run.procedures(token: token).rows
            #expect(rows.first { $0["Activity"]?.string == "Iltmætning" }?["ServiceRequestVersionId"]?.string == "2")
            #expect(!rows.contains { $0["Activity"]?.string == "Puls" })
            #expect(rows.count { $0["Activity"]?.string == "Vægt" } >= 9)

            // Of others nothing, without role nothing.
            let other = await run.procedures(token: token, patient: "1002")
            #expect(other.status == 403)
            #expect(other.errorCode == "SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT")
            _ = await run.control("citizen", ["citizen": "anna", "roles": []])
            #expect(await run.procedures(token: token).errorCode == "SECURITY_TOKEN_INSUFFICIENT_PERMISSION")
            #expect(await run.procedures(token: "nonsense").status == 401)
        }
    }

    @Test("a submission is stored, answered per entry, counted in the plan and found again")
    func submission() async throws {
        try await FUTRun.with(Self.options) { run in
            let token = try await run.token()
            let slot: JSON = ["slots": [["from": "2026-11-25T07:00:00Z", "to": "2026-11-25T11:00:00Z", "occurrences": 1]]]
            _ = await run.control(
                "citizen", ["citizen": "anna", "episodes": [["id": "2001", "requests": [["id": "3002", "timing": slot]]]]])
            let answer = await run.submit(
                [run.observation(version: "2"), run.observation("ZZ3170", request: "3001", timing: "Extra")], token: token)
            #expect(answer.status == 200)
            #expect(answer.json?["type"]?.string == "transaction-response")
            let entries = try #require(answer.json?["entry"]?.array)
            #expect(entries.count == 2)
            let response = entries[0]["response"]
            #expect(response?["status"]?.string == "201 Created")
            #expect(response?["location"]?.string == "\(run.endpoints.measurement)/Observation/1/_history/1")
            #expect(response?["outcome"]?["issue"]?[0]?["details"]?["coding"]?[0]?["code"]?.string == "SUCCESSFUL_CREATE")
            #expect(await run.state.observations().count == 2)

            func found(_ query: String) async -> Int? {
                await run.get("\(run.endpoints.measurement)/Observation?\(query)", token: token).json?["total"]?.integer
            }
            let patient = "patient=\(FUTRun.encoded("\(run.endpoints.patient)/Patient/1001"))"
            #expect(await found(patient) == 2)
            #expect(await found("\(patient)&code=urn:oid:1.2.208.176.2.1%7CNPU03011") == 1)
            #expect(await found("\(patient)&based-on=ServiceRequest/3001") == 1)
            #expect(await found("\(patient)&date=2026-11-25T07:14:03Z") == 2)
            #expect(await found("\(patient)&date=ge2026-11-25&date=lt2026-11-26") == 2)
            #expect(await found("\(patient)&date=gt2026-11-25T07:14:03Z") == 0)
            #expect(await found("\(patient)&identifier=urn:hub%7CNPU03011-2026-11-25T08:14:03%2B01:00") == 1)
            #expect(await found("\(patient)&resolvedTimingType=Extra") == 1)
            #expect(
                await run.get("\(run.endpoints.measurement)/Observation", token: token).errorCode
                    == "SECURITY_SEARCH_PARAMS_MANDATORY")
            let strange = await run.get("\(run.endpoints.measurement)/Observation?\(patient)&colour=red", token: token)
            #expect(strange.status == 400)
            let first = await run.get("\(run.endpoints.measurement)/Observation?\(patient)&_count=1", token: token)
            #expect(first.json?["entry"]?.array?.count == 1)
            let next = try #require(first.json?["link"]?[1]?["url"]?.string)
            let second = await run.get(next, token: token)
            #expect(second.json?["entry"]?[0]?["resource"]?["id"]?.string == "2")
            #expect(second.json?["link"]?[1] == nil)

            let bundles = await run.send(
                .post, "\(run.endpoints.measurement)/$search-measurements-bundle-limit",
                [
                    "resourceType": "Parameters",
                    "parameter": [
                        ["name": "patient", "valueReference": ["reference": .string("\(run.endpoints.patient)/Patient/1001")]],
                        ["name": "count", "valueInteger": 10], ["name": "start", "valueDateTime": "2026-11-25T00:00:00Z"],
                    ],
                ], token: token)
            #expect(bundles.json?["entry"]?.array?.count == 1)
            #expect(bundles.json?["entry"]?[0]?["resource"]?["entry"]?.array?.count == 2)
        }
    }

    @Test("counts in the plan: submitted, timely, invalidated, and a warning for what was not expected")
    func counts() async throws {
        try await FUTRun.with(Self.options) { run in
            let token = try await run.token()
            let row = try #require(await run.procedures(token: token).rows.first { $0["Activity"]?.string == "Iltmætning" })
            let start = try #require(row["ResolvedTimingStart"]?.string)
            let end = try #require(row["ResolvedTimingEnd"]?.string)
            let effective = (await run.state.now).iso8601(offsetMinutes: 0)
            let timely = run.observation(effective: effective).replacingSlot(start, end)
            #expect(await run.submit([timely], token: token).status == 200)
            #expect(await run.submit([run.observation(effective: effective)], token: token).status == 200)
            let answer = await run.procedures(token: token)
            let rows = answer.rows.filter { $0["Activity"]?.string == "Iltmætning" }
            #expect(rows.count == 2)
            #expect(rows[0]["TotalSubmitted"]?.integer == 1)
            #expect(rows[0]["SubmittedTimely"]?.integer == 1)
            #expect(rows[1]["OccurrencesRequested"] == nil)
            let outcome = answer.json?["entry"]?.array?.last?["resource"]
            #expect(outcome?["issue"]?[0]?["severity"]?.string == "warning")

            let patch: JSON = [["op": "replace", "path": "/status", "value": "entered-in-error"]]
            let url = "\(run.endpoints.measurement)/Observation/1"
            #expect(await run.send(.patch, url, patch, token: token).status == 415)
            let patched = await run.send(.patch, url, patch, token: token, type: "application/json-patch+json")
            #expect(patched.status == 200)
            #expect(patched.json?["status"]?.string == "entered-in-error")
            #expect(patched.json?["meta"]?["versionId"]?.string == "2")
            let other: JSON = [["op": "replace", "path": "/valueQuantity/value", "value": 50]]
            #expect(await run.send(.patch, url, other, token: token, type: "application/json-patch+json").status == 422)
            let after = try #require(await run.procedures(token: token).rows.first { $0["Activity"]?.string == "Iltmætning" })
            #expect(after["TotalInvalidated"]?.integer == 1)
            #expect(after["TotalSubmitted"] == nil)
        }
    }

    // MARK: Errors

    /// What is changed, and the code that it must bring.
    struct Mistake: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var code: String
        var resources: @Sendable (FUTRun) -> [JSON]

        init(_ what: String, _ code: String, _ resources: @escaping @Sendable (FUTRun) -> [JSON]) {
            testDescription = what
            self.code =
                code.hasPrefix("GENERAL") || code.hasPrefix("SE") || code.hasPrefix("SY")
                ? code : "MEASUREMENT_SUBMITMEASUREMENT_\(code)"
            self.resources = resources
        }
    }

    static let mistakes: [Mistake] = [
        Mistake("code unlike the request's", "INVALID_OBSERVATION_CODE") { [$0.observation("NPU21692", value: 70)] },
        Mistake("an inactive request", "PROCEDURE_REQUEST_IS_NOT_ACTIVE") {
            [$0.observation("NPU21692", value: 70, request: "3003")]
        },
        Mistake("Resolved without slot", "INVALID_RESOLVED_TIMING") { [$0.observation().withTiming("Resolved", slot: false)] },
        Mistake("Adhoc with slot", "INVALID_RESOLVED_TIMING") { [$0.observation().withTiming("Adhoc", slot: true)] },
        Mistake("Extra that the request does not allow", "INVALID_RESOLVED_TIMING") { [$0.observation(timing: "Extra")] },
        Mistake("no such timing type", "GENERAL_VALIDATION_ERROR") { [$0.observation(timing: "Sometimes")] },
        Mistake("not final", "INVALID_STATUS") { [$0.observation().setting("status", to: "preliminary")] },
        Mistake("two patients", "INPUT_FOR_DIFFERENT_PATIENTS") { [$0.observation(), $0.observation(patient: "1002")] },
        Mistake("two episodes", "INPUT_NOT_PART_OF_SAME_EPISODEOFCARE") { [$0.observation(), $0.observation(episode: "2002")] },
        Mistake("somebody else's episode", "DIFFERENT_PATIENT_REFERENCE") { [$0.observation(episode: "2002")] },
        Mistake("another than the token's", "SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT") {
            [$0.observation("ZZ3170", request: "3011", patient: "1002", episode: "2002")]
        },
        Mistake("no patient", "INPUT_SHOULD_REFERENCE_PATIENT") { [$0.observation().setting("subject", to: ["display": "x"])] },
        Mistake("a relative patient", "INPUT_SHOULD_REFERENCE_PATIENT") {
            [$0.observation().setting("subject", to: ["reference": "Patient/1001"])]
        },
        Mistake("no episode", "INPUT_SHOULD_REFERENCE_EPISODEOFCARE") { [$0.observation().setting("extension", to: [])] },
        Mistake("nothing", "EMPTY_INPUT_BUNDLE") { _ in [] },
        Mistake("a Device", "INPUT_BUNDLE_CONTAINS_INVALID_RESOURCES") { [$0.observation(), ["resourceType": "Device"]] },
        Mistake("only a Provenance", "INPUT_BUNDLE_CONTAINS_NONE_OF_EXPECTED_RESOURCES") { _ in [["resourceType": "Provenance"]]
        },
        Mistake("a Provenance that is no reuse", "INPUT_PROVENANCE_INVALID_POLICY") {
            [$0.observation(), ["resourceType": "Provenance"]]
        },
        Mistake("reuse", "REUSE_NOT_ALLOWED") {
            [
                $0.observation(),
                ["resourceType": "Provenance", "policy": ["http://ehealth.sundhed.dk/policy/ehealth/reuse-by-patient"]],
            ]
        },
        Mistake("two device qualities", "MORE_THAN_ONE_DEVICE_QUALITY") { [$0.observation().withDeviceQualities(2)] },
        Mistake("a coexistence tag", "SYSTEM_TAG_UNEXPECTED_TAG") {
            [
                $0.observation().setting(
                    "meta", to: ["tag": [["system": "http://ehealth.sundhed.dk/cs/ehealth-system", "code": "xa"]]])
            ]
        },
        Mistake("an unknown request", "GENERAL_RESOURCE_NOT_FOUND") { [$0.observation(request: "1")] },
        Mistake("an unknown version", "GENERAL_RESOURCE_NOT_FOUND") { [$0.observation(version: "7")] },
        Mistake("an unknown device", "GENERAL_RESOURCE_NOT_FOUND") {
            [$0.observation().setting("device", to: ["reference": .string("\($0.endpoints.device)/Device/1")])]
        },
        Mistake("no time zone", "GENERAL_VALIDATION_ERROR") { [$0.observation(effective: "2026-11-25T08:14:03")] },
        Mistake("no performer", "GENERAL_VALIDATION_ERROR") { [$0.observation().setting("performer", to: [])] },
        Mistake("PHD's unit", "GENERAL_VALIDATION_ERROR") {
            [
                $0.observation().setting(
                    "valueQuantity",
                    to: [
                        "value": .number(ExactDecimal(mantissa: 96, exponent: -2)), "unit": "1",
                        "system": "http://unitsofmeasure.org", "code": "1",
                    ])
            ]
        },
        Mistake("a quantity without unit", "GENERAL_VALIDATION_ERROR") {
            [$0.observation().setting("valueQuantity", to: ["value": 96, "system": "http://unitsofmeasure.org", "code": "%"])]
        },
        Mistake("a code of another value set", "GENERAL_VALIDATION_ERROR") {
            [$0.observation().setting("code", to: ["coding": [["system": "http://loinc.org", "code": "59408-5"]]])]
        },
        Mistake("a mean pressure", "GENERAL_VALIDATION_ERROR") { run in
            let panel = run.observation("ZZ3170", request: "3001")
            let mean: JSON = ["code": ["coding": [["system": "urn:iso:std:iso:11073:10101", "code": "150023"]]]]
            return [panel.setting("component", to: .array((panel["component"]?.array ?? []) + [mean]))]
        },
    ]

    @Test("each mistake brings its code, and stores nothing", arguments: mistakes)
    func mistake(_ mistake: Mistake) async throws {
        try await FUTRun.with(Self.options) { run in
            let token = try await run.token()
            _ = await run.control(
                "citizen",
                ["citizen": "anna", "episodes": [["id": "2001", "requests": [["id": "3003", "status": "completed"]]]]])
            let answer = await run.submit(mistake.resources(run), token: token)
            #expect(answer.errorCode == mistake.code)
            let status = mistake.code.hasPrefix("SECURITY_") ? 403 : mistake.code == "GENERAL_RESOURCE_NOT_FOUND" ? 404 : 422
            #expect(answer.status == status)
            #expect(await run.state.observations().isEmpty)
            #expect(await run.state.exchanges.last?.code == mistake.code)
            // The same without the mistake is taken.
            #expect(await run.submit([run.observation().withDeviceQualities(1)], token: token).status == 200)
        }
    }

    @Test("the token's context: missing, without episode, no longer allowed; user type; role")
    func context() async throws {
        try await FUTRun.with(Self.options) { run in
            let refresh = try await run.signIn()
            let bare = await run.refresh(refresh)
            let token = try #require(bare.json?["access_token"]?.string)
            #expect(await run.submit([run.observation()], token: token).errorCode == "SECURITY_TOKEN_CONTEXT_MISSING")
            let half = try await run.token(episode: nil)
            #expect(await run.submit([run.observation()], token: half).errorCode == "SECURITY_TOKEN_CONTEXT_MISSING_CONTEXT")
            let whole = try await run.token()
            _ = await run.control("citizen", ["citizen": "anna", "userType": "SSL"])
            let type = await run.submit([run.observation()], token: whole)
            #expect(type.errorCode == "SECURITY_OPERATION_NOT_ALLOWED_FOR_USER_TYPE")
            _ = await run.control("citizen", ["citizen": "anna", "userType": "PATIENT"])
            _ = await run.control("citizen", ["citizen": "anna", "episodes": [["id": "2001", "status": "finished"]]])
            #expect(await run.submit([run.observation()], token: whole).errorCode == "SECURITY_TOKEN_CONTEXT_NOT_ALLOWED")
            _ = await run.control("citizen", ["citizen": "anna", "roles": []])
            #expect(await run.submit([run.observation()], token: whole).errorCode == "SECURITY_TOKEN_INSUFFICIENT_PERMISSION")
            #expect(await run.state.observations().isEmpty)
        }
    }

    @Test("an error's code may stand in the text alone, and an identifier may be lost")
    func settings() async throws {
        try await FUTRun.with(
            FUTRun.settings {
                $0.errorPlace = .diagnostics; $0.keepsIdentifiers = false
            }
        ) { run in
            let token = try await run.token()
            let answer = await run.submit([], token: token)
            #expect(answer.errorCode == nil)
            let text = answer.json?["issue"]?[0]?["diagnostics"]?.string
            #expect(text?.hasPrefix("MEASUREMENT_SUBMITMEASUREMENT_EMPTY_INPUT_BUNDLE: ") == true)
            #expect(await run.submit([run.observation()], token: token).status == 200)
            #expect(await run.state.observations().first?.resource["identifier"] == nil)
            #expect(await run.control("settings", ["colour": 1]).status == 400)
        }
    }

    @Test("$validate says what a submission would")
    func validate() async throws {
        try await FUTRun.with(Self.options) { run in
            let token = try await run.token()
            func validate(_ resource: JSON) async -> HTTPOutcome {
                await run.send(
                    .post, "\(run.endpoints.measurement)/Observation/$validate",
                    ["resourceType": "Parameters", "parameter": [["name": "resource", "resource": resource]]], token: token)
            }
            #expect(await validate(run.observation()).json?["issue"]?[0]?["severity"]?.string == "information")
            #expect(await validate(run.observation().setting("performer", to: [])).errorCode == "GENERAL_VALIDATION_ERROR")
        }
    }

    @Test("devices: what is lent to the citizen, by statement and by serial number; another's not")
    func devices() async throws {
        try await FUTRun.with(Self.options) { run in
            let token = try await run.token()
            let base = run.endpoints.device
            let patient = FUTRun.encoded("\(run.endpoints.patient)/Patient/1001")
            let uses = await run.get("\(base)/DeviceUseStatement?patient=\(patient)&status=active", token: token).json
            #expect(uses?["total"]?.integer == 2)
            let device = try #require(uses?["entry"]?[0]?["resource"]?["device"]?["reference"]?.string)
            #expect(await run.get(device, token: token).json?["serialNumber"]?.string == "SIM-BP-1")
            let found = await run.get(
                "\(base)/Device?identifier=http://ehealth.sundhed.dk/id/device-identifier%7CSIM-OX-1", token: token)
            #expect(found.json?["entry"]?[0]?["resource"]?["modelNumber"]?.string == "3230")
            #expect(await run.get("\(base)/Device/4003", token: token).errorCode == "DEVICE_WRONG_PATIENT_CONTEXT")
            #expect(await run.get("\(base)/Device/1", token: token).status == 404)
            _ = await run.control("citizen", ["citizen": "anna", "devices": [["id": "4002", "status": "completed"]]])
            let left = await run.get("\(base)/DeviceUseStatement?patient=\(patient)&status=active", token: token).json
            #expect(left?["total"]?.integer == 1)
            #expect(await run.get("\(base)/DeviceUseStatement", token: token).errorCode == "SECURITY_SEARCH_PARAMS_MANDATORY")
        }
    }
}

extension JSON {
    fileprivate func changingTiming(_ change: ([JSON]) -> [JSON]) -> JSON {
        let url = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-resolved-timing"
        let extensions = (self["extension"]?.array ?? []).map { one in
            one["url"]?.string == url ? one.setting("extension", to: .array(change(one["extension"]?.array ?? []))) : one
        }
        return setting("extension", to: .array(extensions))
    }

    func replacingSlot(_ start: String, _ end: String) -> JSON {
        changingTiming { parts in
            parts.map { part in
                switch part["url"]?.string {
                case "start": part.setting("valueDateTime", to: .string(start))
                case "end": part.setting("valueDateTime", to: .string(end))
                default: part
                }
            }
        }
    }

    func withTiming(_ type: String, slot: Bool) -> JSON {
        changingTiming { parts in
            parts.filter { slot || !["start", "end"].contains($0["url"]?.string ?? "") }.map { part in
                guard part["url"]?.string == "type" else { return part }
                return part.setting(
                    "valueCodeableConcept",
                    to: [
                        "coding": [
                            ["system": "http://ehealth.sundhed.dk/cs/resolved-timing-type", "code": .string(type)]
                        ]
                    ])
            }
        }
    }

    func withDeviceQualities(_ count: Int) -> JSON {
        let quality: JSON = [
            "url": "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-quality",
            "extension": [
                [
                    "url": "qualityType",
                    "valueCodeableConcept": [
                        "coding": [["system": "http://ehealth.sundhed.dk/cs/quality-types", "code": "DMQ"]]
                    ],
                ],
                [
                    "url": "qualityCode",
                    "valueCodeableConcept": [
                        "coding": [["system": "http://ehealth.sundhed.dk/cs/device-measuring-quality", "code": "normal"]]
                    ],
                ],
            ],
        ]
        return setting("extension", to: .array((self["extension"]?.array ?? []) + Array(repeating: quality, count: count)))
    }
}
