using System.Numerics;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>Makes the exceptions of one reading, which name the opcode that is being read.</summary>
/// <param name="settings">The names of file, format and options.</param>
internal sealed class PickleErrors(PickleSettings settings)
{
    /// <summary>The opcode that is being read.</summary>
    public PickleOpcode Opcode { get; set; }

    /// <summary>Where it is, from the start of the bytes.</summary>
    public int Offset { get; set; }

    /// <summary>Where the pickle begins, from the start of the bytes.</summary>
    public int Start { get; set; }

    /// <summary>Where the opcode is, from the start of the pickle.</summary>
    public long OffsetInPickle => Offset - Start;

    /// <summary>The opcode's name.</summary>
    private string OpcodeName => PickleOpcodes.Name(Opcode) ?? $"byte 0x{(byte)Opcode:x2}";

    /// <summary>What is on the stack is not what the opcode takes.</summary>
    /// <param name="expected">What the opcode needs, such as "a list to append to".</param>
    /// <param name="found">What is there.</param>
    public InvalidCheckpointException Unexpected(string expected, object found) =>
        Invalid($"needs {expected}, and finds {Describe(found)}");

    /// <summary>A rule is broken that no pickler breaks.</summary>
    /// <param name="problem">What is wrong, as the opcode's predicate.</param>
    public InvalidCheckpointException Invalid(string problem) =>
        Make($"the pickle's {OpcodeName} {problem}; no pickler writes that: the file is damaged, or made up to mislead readers");

    /// <summary>The bytes end.</summary>
    /// <param name="problem">What is missing, as the opcode's predicate.</param>
    public InvalidCheckpointException Truncated(string problem) =>
        Make($"the pickle's {OpcodeName} {problem}; the file is cut short or damaged: get it again");

    /// <summary>The bytes end where an opcode should be.</summary>
    /// <param name="offset">Where, from the start of the bytes.</param>
    public InvalidCheckpointException Endless(int offset)
    {
        Offset = offset;
        return Make("the pickle ends without a STOP; the file is cut short or damaged: get it again");
    }

    /// <summary>A byte is no opcode.</summary>
    public InvalidCheckpointException Unknown() =>
        Make($"the pickle has the byte 0x{(byte)Opcode:x2} where an opcode of protocols 0 to 5 should be; the file is damaged, or no pickle");

    /// <summary>A limit is exceeded.</summary>
    /// <param name="limit">Its name in words.</param>
    /// <param name="actual">What the pickle asks for.</param>
    /// <param name="maximum">What is allowed.</param>
    /// <param name="property">The property of the options that raises it.</param>
    public CheckpointLimitException Beyond(string limit, decimal actual, long maximum, string property) =>
        new(limit, actual, maximum, $"{settings.Options}.{property}", settings.File, settings.Format);

    /// <summary>An opcode is refused.</summary>
    public UnsafePickleException Refused() =>
        new(
            null,
            OpcodeName,
            OffsetInPickle,
            settings.File,
            $"the pickle uses the opcode {OpcodeName}, which no checkpoint needs and which could hide what is imported; nothing of "
                + "the file was executed. Do not open it with other programs unless you know who made it",
            settings.Format);

    /// <summary>A global is refused.</summary>
    public UnsafePickleException Refused(string module, string name, string refusal) =>
        new(
            module,
            name,
            OffsetInPickle,
            settings.File,
            $"the pickle asks for {Quoted.Name($"{module}.{name}")}, which is refused; nothing of the file was executed. {refusal}",
            settings.Format);

    private static string Describe(object value) => value switch
    {
        PickleNone => "None",
        bool => "a bool",
        long or BigInteger => "an integer",
        double => "a float",
        string => "text",
        byte[] => "bytes",
        PickleList => "a list",
        PickleTuple => "a tuple",
        PickleDictionary => "a dict",
        PickleSet => "a set",
        PickleGlobal { Kind: PickleGlobalKind.Function } global => $"the function {Quoted.Name(global.FullName)}",
        PickleGlobal { Kind: PickleGlobalKind.Constant } global => $"the constant {Quoted.Name(global.FullName)}",
        PickleGlobal global => $"the class {Quoted.Name(global.FullName)}",
        PickleObject made => $"what {Quoted.Name(made.Global.FullName)} gives",
        _ => "a storage",
    };

    private InvalidCheckpointException Make(string problem) =>
        new(CheckpointErrorCode.PickleInvalid, settings.File, problem, settings.Format, settings.BaseOffset + Offset);
}
