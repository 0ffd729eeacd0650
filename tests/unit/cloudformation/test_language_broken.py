"""Broken templates, and what AWS says of each. Texts: spec 01 §1.2 and 1.5, AWS's documentation, and what users saw."""

from __future__ import annotations

from typing import Any

import pytest

from windtunnel.services.cloudformation.language import conditions, extensions, graph, parameters, rules, structure
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.resolve import Scope, resolve

ENV = Environment(
    "123456789012",
    "us-east-1",
    "stack",
    "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/0",
    zones={"us-east-1": ["us-east-1a", "us-east-1b"]},
)
ATTRIBUTES = {"AWS::S3::Bucket": {"Arn"}, "AWS::CloudFormation::Stack": {"Id"}, "Custom::X": set()}
BUCKET = "Resources: {B: {Type: AWS::S3::Bucket}}\n"


def said_of(text: str, given: dict[str, str] | None = None) -> str:
    """What is said of a template on its way to a stack."""
    with pytest.raises(TemplateError) as raised:
        through(text, given or {})
    return raised.value.message


def through(text: str, given: dict[str, str]) -> dict[str, Any]:
    template = parse(text)
    declared = parameters.declared(template)
    structure.check(template, known_types=lambda kind: kind.startswith("AWS::") and "Foo" not in kind, attributes=ATTRIBUTES.get)
    entries = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    values = parameters.resolved(declared, parameters.values(declared, entries, None), {})
    template = extensions.expand(template, values, ENV)
    structure.check(template, known_types=lambda kind: True)
    broken = rules.broken_rules(template, values, ENV)
    if broken:
        raise TemplateError(broken)
    held = conditions.conditions(template, values, ENV)
    needs = graph.dependencies(template, held)
    scope = Scope(values, ENV, held, template.get("Mappings", {}), refs=str.lower, attributes="{}.{}".format)
    return {name: resolve(template["Resources"][name].get("Properties", {}), scope) for name in needs}


def properties(value: str) -> str:
    """A template in which a property has this value."""
    return f"Resources: {{B: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {value}}}}}}}\n"


def condition(body: str) -> str:
    return f"{BUCKET}Parameters: {{P: {{Type: String, Default: p}}}}\nConditions: {{C: {body}}}\n"


def parameter(body: str) -> str:
    return f"{BUCKET}Parameters: {{P: {body}}}\n"


def output(body: str) -> str:
    return f"{BUCKET}Outputs: {{O: {body}}}\n"


def resource(members: str) -> str:
    return f"Resources: {{B: {{Type: AWS::S3::Bucket, {members}}}}}\n"


FORMAT = "Template format error: "
ERROR = "Template error: "
JOIN = (
    "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that "
    "returns a list of strings (such as Fn::GetAZs) to be joined."
)
SPLIT = (
    "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a "
    "string to be split."
)
GET_ATT = "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
SUB = (
    "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second "
    "argument to specify a mapping of values to replace in the string"
)
SUB_NAMES = "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons"
FIND = "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
AND = "every Fn::And object requires a list of at least 2 and at most 10 boolean parameters."
OR = "every Fn::Or object requires a list of at least 2 and at most 10 boolean parameters."
ONLY = "Conditions can only be boolean operations on parameters and other conditions"
EXPORT = "The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens."
INDEPENDENT = "must not depend on any resources, imported values, or Fn::GetAZs"
LISTED = (
    "Supported functions are: [Fn::Base64, Fn::GetAtt, Fn::GetAZs, Fn::ImportValue, Fn::Join, Fn::Split, Fn::FindInMap, Fn::Select, Ref, "
    "Fn::Equals, Fn::If, Fn::Not, Condition, Fn::And, Fn::Or, Fn::Contains, Fn::EachMemberEquals, Fn::EachMemberIn, Fn::ValueOf, "
    "Fn::ValueOfAll, Fn::RefAll, Fn::Sub, Fn::Cidr]"
)


def row(sentence: str, text: str, message: str) -> Any:
    return pytest.param(text, message, id=sentence)


TEXTS = [
    row("a word of JSON without quotes", '{"Resources": nope}', FORMAT + "JSON not well-formed. (line 1, column 16)"),
    row("JSON that ends too early", '{"Resources": {', FORMAT + "JSON not well-formed. (line 1, column 16)"),
    row("JSON with a comma too many", '{"Resources": {},\n}', FORMAT + "JSON not well-formed. (line 2, column 2)"),
    row("YAML with a bracket left open", "Resources: [", FORMAT + "YAML not well-formed. (line 2, column 1)"),
    row("YAML indented by a tab", "Resources:\n\tB: 1", FORMAT + "YAML not well-formed. (line 2, column 1)"),
    row("YAML with two functions on one node", "a: !Base64 !Sub x", FORMAT + "YAML not well-formed. (line 1, column 12)"),
    row("two documents", "a: 1\n---\nb: 2", FORMAT + "YAML not well-formed."),
    row("an alias of nothing", "a: *b", FORMAT + "YAML not well-formed."),
    row("a binary in YAML", "a: !!binary aGVsbG8=", FORMAT + "YAML not well-formed."),
    row("a list", "- a\n- b", FORMAT + "unsupported structure."),
    row("a JSON list", "[1, 2]", FORMAT + "unsupported structure."),
    row("a word", "hello", FORMAT + "unsupported structure."),
    row("nothing", "", FORMAT + "unsupported structure."),
    row(
        "a null in YAML", BUCKET + "Outputs: {MyOutput: {Value: }}", "[/Outputs/MyOutput/Value] 'null' values are not allowed in templates"
    ),
    row("a null in JSON", '{"Resources": {"B": null}}', "[/Resources/B] 'null' values are not allowed in templates"),
    row("a null in a list", properties("[a, null]"), "[/Resources/B/Properties/BucketName/1] 'null' values are not allowed in templates"),
    row(
        "a key that is a function",
        properties("{!Sub 'x': y}"),
        FORMAT + "[/Resources/B/Properties/BucketName] map keys must be strings; received a map instead",
    ),
    row(
        "a key that is a number",
        properties("{200: y}"),
        FORMAT + "[/Resources/B/Properties/BucketName] map keys must be strings; received numeric [200] instead",
    ),
    row("a key that is a list", "? [a]\n: b", FORMAT + "[/] map keys must be strings; received a list instead"),
]
SECTIONS = [
    row(
        "another version",
        "AWSTemplateFormatVersion: 2010-09-10\n" + BUCKET,
        FORMAT + "2010-09-10 is not a supported value for AWSTemplateFormatVersion.",
    ),
    row("an unknown section", BUCKET + "Resource: {}", "Invalid template property or properties [Resource]"),
    row("two unknown sections", BUCKET + "Foo: 1\nBar: 2", "Invalid template property or properties [Foo, Bar]"),
    row("a merge of YAML", "Base: &b {a: 1}\n" + BUCKET, "Invalid template property or properties [Base]"),
    row("a description that is a map", BUCKET + "Description: {a: b}", FORMAT + "Every Description member must be a string."),
    row("a description of 1025 letters", BUCKET + "Description: " + "x" * 1025, FORMAT + "'Description' length is greater than 1024"),
    row("no resources", "Description: x", FORMAT + "At least one Resources member must be defined."),
    row("empty resources", "Resources: {}", FORMAT + "At least one Resources member must be defined."),
    row("resources in a list", "Resources: [a]", FORMAT + "Resources must be an object."),
    row(
        "501 resources",
        "Resources: {" + ", ".join(f"R{n}: {{Type: AWS::SNS::Topic}}" for n in range(501)) + "}",
        FORMAT + "Number of resources, 501, is greater than maximum allowed, 500",
    ),
    row(
        "201 outputs",
        BUCKET + "Outputs: {" + ", ".join(f"O{n}: {{Value: x}}" for n in range(201)) + "}",
        FORMAT + "Number of outputs, 201, is greater than maximum allowed, 200",
    ),
    row(
        "201 parameters",
        BUCKET + "Parameters: {" + ", ".join(f"P{n}: {{Type: String}}" for n in range(201)) + "}",
        FORMAT + "Number of parameters, 201, is greater than maximum allowed, 200",
    ),
    row("a mapping that is a list", BUCKET + "Mappings: {M: [a]}", FORMAT + "Every Mappings member M must be a map"),
    row("a mapping of one level", BUCKET + "Mappings: {M: {a: b}}", FORMAT + "Every Mappings member a must be a map"),
    row(
        "a mapping of three levels",
        BUCKET + "Mappings: {M: {a: {b: {c: d}}}}",
        FORMAT + "Every Mappings attribute must be a String or a List.",
    ),
    row(
        "a mapping with a function",
        BUCKET + "Mappings: {M: {a: {b: !Ref X}}}",
        FORMAT + "Every Mappings attribute must be a String or a List.",
    ),
    row(
        "a mapping with an underscore",
        BUCKET + "Mappings: {M: {a_b: {c: d}}}",
        FORMAT + "Mappings attribute name 'a_b' must contain only alphanumeric characters.",
    ),
    row("a transform without a name", BUCKET + "Transform: [{Parameters: {}}]", "Key Name of transform definition must be a string."),
]
RESOURCES = [
    row("a resource that is a text", "Resources: {B: x}", FORMAT + "Any Resources member must be an object."),
    row("a resource without a type", "Resources: {Foo: {Properties: {}}}", FORMAT + "[/Resources/Foo] Every Resources object must contain a Type member."),
    row("a type that is a map", "Resources: {Foo: {Type: {a: b}}}", FORMAT + "Every Type member must be a string."),
    row("a logical id with hyphens", "Resources: {my-bad-resource-id: {Type: AWS::SNS::Topic}}", FORMAT + "Resource name my-bad-resource-id is non alphanumeric."),
    row("an unknown member", resource("Invalid: x"), "Invalid template resource property 'Invalid'"),
    row("a merge in a resource", "Resources: {B: {Type: AWS::SNS::Topic, <<: {a: b}}}", "Invalid template resource property '<<'"),
    row("unknown types", "Resources: {A: {Type: AWS::Foo::Bar}, B: {Type: Foo}, C: {Type: Foo}}", FORMAT + "Unrecognized resource types: [AWS::Foo::Bar, Foo]"),
    row("properties in a list", resource("Properties: [a]"), FORMAT + "[/Resources/B/Properties] 'Properties' must be an object."),
    row("a DependsOn that is a map", resource("DependsOn: {a: b}"), FORMAT + "DependsOn must be a string or list of strings."),
    row("a DependsOn with a function", resource("DependsOn: [!Ref C]"), FORMAT + "Every DependsOn value must be a string."),
    row("a DependsOn of nothing", resource("DependsOn: [X, Y]"), FORMAT + "Unresolved resource dependencies [X, Y] in the Resources block of the template"),
    row("an unknown deletion policy", resource("DeletionPolicy: Keep"), FORMAT + "Unrecognized DeletionPolicy Keep for resource B"),
    row("a deletion policy by function", resource("DeletionPolicy: !Ref P"), FORMAT + "Every DeletionPolicy member must be a string."),
    row("a replace policy that is for deletion", resource("UpdateReplacePolicy: RetainExceptOnCreate"), FORMAT + "Unrecognized UpdateReplacePolicy RetainExceptOnCreate for resource B"),
    row("a snapshot of a bucket", resource("DeletionPolicy: Snapshot"), ERROR + "resource type AWS::S3::Bucket does not support deletion policy Snapshot"),
    row("a condition in a list", resource("Condition: [a]"), FORMAT + "Every Condition member must be a string."),
    row("a condition that is not defined", resource("Condition: Missing"), FORMAT + "Condition Missing  is not defined."),
    row("a name that is also a parameter's", BUCKET + "Parameters: {B: {Type: String, Default: x}}", ERROR + "all resources and parameters must have unique names. Common name(s):[B]"),
    row("a circle of two", "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}, B: {Type: AWS::SNS::Topic, DependsOn: A}}", "Circular dependency between resources: [A, B]"),
    row("a circle of one", properties("!Ref B"), "Circular dependency between resources: [B]"),
    row(
        "two circles and what needs them",
        "Resources: {X: {Type: AWS::SNS::Topic, DependsOn: A}, A: {Type: AWS::SNS::Topic, Properties: {a: !GetAtt B.Arn}}, "
        "B: {Type: AWS::SNS::Topic, Properties: {a: !Sub '${A}'}}, C: {Type: AWS::SNS::Topic, DependsOn: C}}",
        "Circular dependency between resources: [X, A, B, C]",
    ),
]  # fmt: skip
REFERENCES = [
    row("a Ref of nothing", properties("!Ref Nothing"), FORMAT + "Unresolved resource dependencies [Nothing] in the Resources block of the template"),
    row("a misspelt pseudo parameter", properties("!Ref 'AWS::Resion'"), FORMAT + "Unresolved resource dependencies [AWS::Resion] in the Resources block of the template"),
    row("two Refs of nothing", properties("[!Ref X, !Sub '${Y}']"), FORMAT + "Unresolved resource dependencies [X, Y] in the Resources block of the template"),
    row("an output of nothing", output("{Value: !Ref MyTopic}"), "Unresolved resource dependencies [MyTopic] in the Outputs block of the template"),
    row("a Ref of a list", properties("{Ref: [a]}"), ERROR + "All References must be of type string"),
    row("a GetAtt of nothing", properties("!GetAtt X.Arn"), ERROR + "instance of Fn::GetAtt references undefined resource X"),
    row("a GetAtt without attribute", properties("!GetAtt B"), ERROR + GET_ATT),
    row("a GetAtt with an empty name", properties("{'Fn::GetAtt': ['', Arn]}"), ERROR + GET_ATT),
    row("a Sub of an attribute of nothing", properties("!Sub '${X.Arn}'"), ERROR + "instance of Fn::Sub references invalid resource attribute X.Arn"),
    row("an attribute that the type does not have", output("{Value: !GetAtt B.Invalid}"), ERROR + "resource B does not support attribute type Invalid in Fn::GetAtt"),
    row("an attribute that the type does not have, in a Sub", "Resources: {B: {Type: AWS::S3::Bucket}, C: {Type: AWS::SNS::Topic, Properties: {a: !Sub '${B.arn}'}}}", ERROR + "resource B does not support attribute type arn in Fn::GetAtt"),
    row("a Sub of nothing in an output", output("{Value: !Sub '${X}'}"), "Unresolved resource dependencies [X] in the Outputs block of the template"),
    row("a Ref of a resource that is not made", "Parameters: {P: {Type: String, Default: p}}\nConditions: {Never: !Equals [!Ref P, q]}\n"
        "Resources: {A: {Type: AWS::SNS::Topic, Condition: Never}, B: {Type: AWS::SNS::Topic, Properties: {a: !Ref A}}}",
        FORMAT + "Unresolved resource dependencies [A] in the Resources block of the template"),
    row("an output of a resource that is not made", "Conditions: {Never: !Equals [a, b]}\n"
        "Resources: {A: {Type: AWS::SNS::Topic, Condition: Never}, B: {Type: AWS::SNS::Topic}}\nOutputs: {O: {Value: !GetAtt A.Arn}}",
        "Unresolved resource dependencies [A] in the Outputs block of the template"),
]  # fmt: skip
FUNCTIONS = [
    row("an unknown function", properties("{'Fn::Foo': x}"), "Template Error: Encountered unsupported function: Fn::Foo " + LISTED),
    row("an unknown short form", properties("!Bar x"), "Template Error: Encountered unsupported function: Fn::Bar " + LISTED),
    row("a Join of a text", properties("!Join ['-', a]"), ERROR + JOIN),
    row("a Join of one", properties("!Join ['-']"), ERROR + JOIN),
    row("a Join of lists", properties("!Join ['-', [[a]]]"), ERROR + JOIN),
    row("a Join of a map", properties("!Join ['-', [{a: b}]]"), ERROR + JOIN),
    row("a Split of three", properties("!Split [a, b, c]"), ERROR + SPLIT),
    row("a Split of a list", properties("!Split [',', [a]]"), ERROR + SPLIT),
    row("a Split by nothing", properties("!Split ['', a]"), ERROR + SPLIT),
    row("a Select without a list", properties("!Select [0, a]"), ERROR + "Fn::Select requires a list argument with two elements: an integer index and a list"),
    row("a Select by a word", properties("!Select [first, [a]]"), ERROR + "Fn::Select requires a list argument with a valid index value as its first element"),
    row("a Select beyond the end", properties("!Select [2, [a, b]]"), ERROR + "Fn::Select cannot select nonexistent value at index 2"),
    row("a Select beyond the zones", properties("!Select ['2', !GetAZs '']"), ERROR + "Fn::Select cannot select nonexistent value at index 2"),
    row("a Select before the beginning", properties("!Select [-1, [a, b]]"), ERROR + "Fn::Select cannot select nonexistent value at index -1"),
    row("a Select of no value", properties("!Select [0, [!Ref 'AWS::NoValue']]"), ERROR + "Fn::Select cannot select null value at index 0"),
    row("a FindInMap of two", properties("!FindInMap [M, a]"), ERROR + FIND),
    row("a FindInMap in no mapping", properties("!FindInMap [M, a, b]"), ERROR + "Mapping named 'M' is not present in the 'Mappings' section of template."),
    row("a FindInMap of a missing key", "Mappings: {M: {a: {b: c}}}\n" + properties("!FindInMap [M, x, b]"), ERROR + "Unable to get mapping for M::x::b"),
    row("a FindInMap of a missing key by Ref", "Mappings: {M: {a: {b: c}}}\n" + properties("!FindInMap [M, !Ref 'AWS::Region', b]"), ERROR + "Unable to get mapping for M::us-east-1::b"),
    row("a Base64 of a list", properties("{'Fn::Base64': [a]}"), ERROR + "every Fn::Base64 object must have a String-typed value."),
    row("zones of a list", properties("{'Fn::GetAZs': [a]}"), ERROR + "every Fn::GetAZs object must have a String-typed value."),
    row("a Sub of three", properties("!Sub [a, {}, b]"), ERROR + SUB),
    row("a Sub of a map", properties("!Sub {a: b}"), ERROR + SUB),
    row("a Sub with a shell's variable", properties("!Sub '${#X}'"), ERROR + SUB_NAMES),
    row("a Sub with a space", properties("!Sub '${ B }'"), ERROR + SUB_NAMES),
    row("a Sub whose map has a bad key", properties("!Sub ['${a}', {a-b: c}]"), ERROR + "every key of the context object of every Fn::Sub object must contain only alphanumeric characters and underscores"),
    row("a Sub whose map has a list", properties("!Sub ['${a}', {a: [b]}]"), ERROR + "every value of the context object of every Fn::Sub object must be a string or a function that returns a string"),
    row("a Sub of a list parameter", "Parameters: {L: {Type: CommaDelimitedList, Default: 'a,b'}}\n" + properties("!Sub '${L}'"), ERROR + "variable L in Fn::Sub expression does not resolve to a string"),
    row("an If of two", properties("!If [C, a]"), ERROR + "Fn::If requires a list argument with three elements"),
    row("an If of a function", properties("!If [!Equals [a, b], a, b]"), ERROR + "Fn::If requires a list argument with the first element being a condition"),
    row("an If of an unknown condition", properties("!If [MissingCondition, a, b]"), ERROR + "unresolved condition dependency MissingCondition in Fn::If"),
    row("an Equals for a value", properties("!Equals [a, b]"), ERROR + "Fn::Equals cannot be partially collapsed"),
    row("an import named by a resource", "Resources: {A: {Type: AWS::SNS::Topic}, B: {Type: AWS::SNS::Topic, Properties: {a: !ImportValue {Ref: A}}}}", ERROR + "the attribute in Fn::ImportValue " + INDEPENDENT),
    row("an import named by an import", properties("{'Fn::ImportValue': {'Fn::ImportValue': a}}"), ERROR + "the attribute in Fn::ImportValue " + INDEPENDENT),
    row("an import of nothing", properties("!ImportValue x"), "No export named x found."),
    row("blocks that do not fit", properties("!Join [',', !Cidr [10.0.0.0/24, 5, 6]]"), ERROR + "Fn::Cidr: 5 CIDRs with 6 subnet bits do not fit into 10.0.0.0/24."),
]  # fmt: skip
CONDITIONS = [
    row("a condition that is a text", condition("x"), FORMAT + "Any Conditions member must be an object."),
    row("a condition that is a value", condition("!Ref P"), ERROR + ONLY),
    row("an Equals of three", condition("!Equals [a, b, c]"), ERROR + "every Fn::Equals object requires a list of 2 string parameters."),
    row("an And of one", condition("!And [!Equals [a, b]]"), ERROR + AND),
    row("an Or of eleven", condition("!Or [" + ", ".join(["!Equals [a, b]"] * 11) + "]"), ERROR + OR),
    row("an Or of texts", condition("!Or [a, b]"), ERROR + OR),
    row("a Not of two", condition("!Not [!Equals [a, b], !Equals [a, b]]"), ERROR + "Fn::Not requires a list argument with one element"),
    row("a Not of a text", condition("!Not [a]"), ERROR + "Fn::Not requires a list argument with one function token"),
    row("a condition over a resource", condition("!Equals [!Ref B, a]"), FORMAT + "Unresolved dependencies [B]. Cannot reference resources in the Conditions block of the template"),
    row("a condition over an attribute", condition("!Equals [!GetAtt B.Arn, a]"), FORMAT + "Unresolved dependencies [B]. Cannot reference resources in the Conditions block of the template"),
    row("a condition over an import", condition("!Equals [!ImportValue x, a]"), ERROR + "Cannot use Fn::ImportValue in Conditions."),
    row("a condition over an unknown one", condition("!Not [!Condition X]"), FORMAT + "Unresolved condition dependency X in the Conditions block of the template"),
    row("conditions in a circle", BUCKET + "Conditions: {C: !Not [!Condition D], D: !Not [!Condition C]}", ERROR + "Found circular condition dependency between: [C, D]"),
]  # fmt: skip
OUTPUTS = [
    row("an output without value", output("{Description: x}"), FORMAT + "Every Outputs member must contain a Value object"),
    row("an output that is a text", output("x"), FORMAT + "Any Outputs member must be an object."),
    row("an output with hyphens", BUCKET + "Outputs: {a-b: {Value: x}}", FORMAT + "Output name a-b is non alphanumeric."),
    row("an output of a list", output("{Value: [a]}"), FORMAT + "The Value field of every Outputs member must evaluate to a String and not a List."),
    row("an output of a map", output("{Value: {a: b}}"), FORMAT + "The Value field of every Outputs member must evaluate to a String and not a Map."),
    row("an output with an unknown member", output("{Value: a, Name: b}"), "Invalid template output property 'Name'"),
    row("an export without a name", output("{Value: a, Export: {}}"), FORMAT + EXPORT),
    row("an export with a slash", output("{Value: a, Export: {Name: a/b}}"), FORMAT + EXPORT),
    row("an export named by a resource", output("{Value: a, Export: {Name: !Ref B}}"), FORMAT + f"The Name field of Export {INDEPENDENT}."),
    row("an export of 257 letters", output("{Value: a, Export: {Name: " + "x" * 257 + "}}"), FORMAT + "The Name field of every Export member must not be longer than 256 characters."),
    row("two exports of one name", BUCKET + "Outputs: {O: {Value: a, Export: {Name: x}}, Q: {Value: a, Export: {Name: x}}}", FORMAT + "The Outputs section contains duplicate Export names: [x]. Specify a unique name for each export."),
]  # fmt: skip
PARAMETERS = [
    row("a parameter without type", parameter("{Default: x}"), FORMAT + "Every Parameters object must contain a Type member."),
    row("a parameter that is a text", parameter("String"), FORMAT + "Any Parameters member must be an object."),
    row("parameters in a list", BUCKET + "Parameters: [a]", FORMAT + "Template parameters must be a map."),
    row("an unknown parameter type", parameter("{Type: Text}"), FORMAT + "Unrecognized parameter type: Text"),
    row("a list of key pairs", parameter("{Type: 'List<AWS::EC2::KeyPair::KeyName>'}"), FORMAT + "Unrecognized parameter type: List<AWS::EC2::KeyPair::KeyName>"),
    row("an unknown member of a parameter", parameter("{Type: String, Value: x}"), "Invalid template parameter property 'Value'"),
    row("a parameter with hyphens", BUCKET + "Parameters: {a-b: {Type: String}}", FORMAT + "Parameter name a-b is non alphanumeric."),
    row("a default that is a list", parameter("{Type: CommaDelimitedList, Default: [a, b]}"), FORMAT + "Every Default member must be a string."),
    row("a pattern that is none", parameter("{Type: String, Default: x, AllowedPattern: '['}"), "Parameter 'P' AllowedPattern must be a valid regular expression."),
    row("a pattern for a number", parameter("{Type: Number, Default: 1, AllowedPattern: 'a'}"), ERROR + "Parameter 'P' AllowedPattern must be on a parameter of type String"),
    row("a smallest text", parameter("{Type: String, Default: x, MinValue: 1}"), ERROR + "Parameter 'P' MinValue must be on a parameter of type Number"),
    row("a least above the most", parameter("{Type: Number, Default: 1, MinValue: 5, MaxValue: 2}"), ERROR + "Parameter 'P' MinValue must be less than MaxValue."),
    row("a length that is a word", parameter("{Type: String, Default: x, MinLength: many}"), ERROR + "Parameter 'P' MinLength must be a number."),
    row("allowed values in a text", parameter("{Type: String, Default: x, AllowedValues: x}"), FORMAT + "Every AllowedValues member must be a list."),
    row("a parameter without value", parameter("{Type: String}"), "Parameters: [P] must have values"),
    row("a default that is not allowed", parameter("{Type: String, Default: x, AllowedValues: [a, b]}"), "Parameter 'P' must be one of AllowedValues"),
    row("a default that is no number", parameter("{Type: Number, Default: x}"), "Parameter 'P' must be a number."),
]  # fmt: skip
RULES = [
    row("a rule that does not hold", parameter("{Type: String, Default: prod}") + "Rules: {R: {Assertions: [{Assert: !Not [!Equals [!Ref P, prod]], AssertDescription: not in production}]}}", "Rule R failed: not in production"),
    row("a rule without assertions", BUCKET + "Rules: {R: {RuleCondition: !Equals [a, b]}}", FORMAT + "Rule R must have at least one assertion."),
    row("a rule over a resource", BUCKET + "Rules: {R: {Assertions: [{Assert: !Equals [!Ref B, a]}]}}", FORMAT + "Unresolved dependencies [B]. Cannot reference resources in the Rules block of the template"),
]  # fmt: skip
LOOPS = [
    row("a loop without a body", "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::L': [X, [a]]}", "Transform AWS::LanguageExtensions failed with: Fn::ForEach::L layout is incorrect"),
    row("a loop that makes one key twice", "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::L': [X, [a, b], {Same: {Type: AWS::SNS::Topic}}]}", "Transform AWS::LanguageExtensions failed with: Duplicate key 'Same' when merging keys to parent object in Fn::ForEach"),
    row("a loop over a text", "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::L': [X, !Ref 'AWS::Region', {'T${X}': {Type: AWS::SNS::Topic}}]}", "Transform AWS::LanguageExtensions failed with: Fn::ForEach::L could not be resolved to a list"),
    row("a name that a loop makes and nobody has", "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::L': [X, [a], {'T${X}': {Type: AWS::SNS::Topic}}]}\nOutputs: {O: {Value: !GetAtt [!Sub 'T${AWS::Region}', Arn]}}", ERROR + "instance of Fn::GetAtt references undefined resource Tus-east-1"),
    row("a name that only a resource knows", "Transform: AWS::LanguageExtensions\nResources: {T: {Type: AWS::SNS::Topic}}\nOutputs: {O: {Value: {Ref: !GetAtt T.TopicName}}}", ERROR + "unresolved resource dependency: T"),
    row("a loop that makes a bad id", "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::L': [X, [a-b], {'T${X}': {Type: AWS::SNS::Topic}}]}", FORMAT + "Resource name Ta-b is non alphanumeric."),
]  # fmt: skip
BROKEN = [*TEXTS, *SECTIONS, *RESOURCES, *REFERENCES, *FUNCTIONS, *CONDITIONS, *OUTPUTS, *PARAMETERS, *RULES, *LOOPS]


@pytest.mark.parametrize("text, message", BROKEN)
def test_what_is_broken_is_named(text: str, message: str) -> None:
    assert said_of(text) == message


def test_there_are_many_of_them() -> None:
    assert len(BROKEN) >= 120
    assert len({param.id for param in BROKEN}) == len(BROKEN)


def test_attributes_of_custom_resources_and_what_nested_stacks_put_out_are_not_judged() -> None:
    text = (
        "Resources: {S: {Type: AWS::CloudFormation::Stack}, X: {Type: Custom::X}, T: {Type: AWS::SNS::Topic}, "
        "B: {Type: AWS::S3::Bucket, Properties: {a: [!GetAtt S.Outputs.Url, !GetAtt X.What, !GetAtt T.Ever, !GetAtt [S, !Ref P]]}}}\n"
        "Parameters: {P: {Type: String, Default: x}}"
    )
    assert through(text, {})["B"] == {"a": ["S.Outputs.Url", "X.What", "T.Ever", "S.x"]}


def test_what_is_not_broken_goes_through() -> None:
    assert through(properties("!Join ['-', [!Ref 'AWS::StackName', 1.5, true]]"), {}) == {"B": {"BucketName": "stack-1.5-true"}}
