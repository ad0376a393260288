namespace IlgpuLoader.Formats;

/// <summary>What was found in a file so far, which stays where going on fails. Not safe for several threads.</summary>
internal sealed class AuditFindings
{
    private static readonly string[] Calls = ["REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"];

    /// <summary>What the file is.</summary>
    public AuditedContainer Container { get; set; }

    /// <summary>The pickles.</summary>
    public List<PickleAudit> Pickles { get; } = [];

    /// <summary>What else is to be known, in sentences.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>The first thing that is wrong.</summary>
    public Exception? Failure { get; set; }

    /// <summary>Whether what was looked at for a pickle is text.</summary>
    public bool IsText { get; set; }

    /// <summary>
    /// Whether a global was met whose module and name can be one's of Python: the bytes of anything else may look like an opcode.
    /// </summary>
    public bool NamesModules => Pickles.Exists(NamesModule);

    /// <summary>Whether a pickle was met that would import or hide something.</summary>
    public bool WouldImport => Pickles.Exists(pickle => !pickle.Globals.IsEmpty || !pickle.RefusedOpcodes.IsEmpty);

    /// <summary>
    /// Whether a pickle would import something and is no accident: it is whole, calls something, or names what runs code. A list of
    /// words may begin as one, with a <c>c</c> and two lines.
    /// </summary>
    public bool IsMeant => Pickles.Exists(pickle => NamesModule(pickle)
        && (pickle.Failure is null
            || pickle.Globals.Any(global => global.Verdict == AuditedGlobalVerdict.Refused)
            || pickle.Opcodes.Any(opcode => Calls.Contains(opcode.Name))));

    /// <summary>Whether a pickle has a global whose module and name can be one's of Python.</summary>
    public static bool NamesModule(PickleAudit pickle) => pickle.Globals.Any(global => IsName(global.Module) && IsName(global.Name));

    /// <summary>Whether a text can be the name of a module, or of something in one.</summary>
    public static bool IsName(string text) => text.Length > 0 && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_');
}
