using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What was found in a file, as text and as a document.</summary>
/// <param name="audit">What was found.</param>
/// <param name="exitCode">What the run ends with if nothing is worse.</param>
internal sealed class AuditReport(FileAudit audit, int exitCode)
{
    // In text; the document has all of them. A pickle made to mislead may name a million.
    private const int ShownGlobals = 100, ShownOpcodes = 10, ShownStorages = 20;

    /// <summary>What the run ends with if nothing is worse.</summary>
    public int ExitCode => exitCode;

    /// <summary>The whole of it for programs.</summary>
    public AuditedFile ToDocument() => new(
        audit.Path,
        NameOf(audit.Verdict),
        audit.Container switch
        {
            AuditedContainer.Safetensors => "safetensors",
            AuditedContainer.Gguf => "gguf",
            AuditedContainer.TorchArchive => "pytorch",
            AuditedContainer.TorchScript => "torchscript",
            AuditedContainer.TorchStream => "pytorch-stream",
            AuditedContainer.Pickle => "pickle",
            AuditedContainer.NumpyArray => "npy",
            AuditedContainer.NumpyArchive => "npz",
            AuditedContainer.ZipArchive => "zip",
            _ => "unknown",
        },
        exitCode,
        CodeOf(audit.Failure),
        audit.Failure is null ? null : MessageOf(audit.Failure),
        [.. audit.Notes],
        [.. audit.Pickles.Select(pickle => new AuditedPickle(
            pickle.Name,
            pickle.Offset,
            pickle.Length,
            NameOf(pickle.Verdict),
            pickle.Protocol,
            [.. pickle.Globals.Select(global => new ListedGlobal(
                global.Module, global.Name, global.Count, global.FirstOffset, NameOf(global.Verdict), global.Reason))],
            [.. pickle.RefusedOpcodes.Select(opcode => new ListedOpcode(opcode.Name, opcode.Offset))],
            new ListedOpcodes(pickle.OpcodeTotal, pickle.Opcodes.ToDictionary(opcode => opcode.Name, opcode => opcode.Count)),
            new ListedStorages(
                pickle.Storages.Length,
                pickle.StorageBytes,
                [.. pickle.Storages.Select(storage => new ListedStorage(storage.Key, storage.Type, storage.Elements, storage.Bytes, storage.Location))]),
            CodeOf(pickle.Failure),
            pickle.Failure is null ? null : MessageOf(pickle.Failure)))]);

    /// <summary>Writes it for people: the verdict first, and what is refused before what is allowed.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="isVerbose">Whether opcodes and storages are listed too.</param>
    public void WriteTo(TextWriter output, bool isVerbose)
    {
        var (verdict, meaning) = audit.Verdict switch
        {
            AuditVerdict.Safe when audit.Pickles.IsEmpty => ("safe", "holds no pickle"),
            AuditVerdict.Safe => ("safe", "names only what checkpoints need"),
            AuditVerdict.UnknownGlobals => ("unknown", "names what is on no list: --allow-unknown-globals reads it as inert records, and Python would run its code"),
            AuditVerdict.Unsafe => ("unsafe", "would run code of its own choosing: do not load it with Python"),
            AuditVerdict.Broken => ("broken", "could not be gone through to its end, and may hold more than was seen"),
            _ => ("unreadable", "could not be read"),
        };
        output.WriteLine($"{verdict} {Quoted.Plain(audit.Path)}: {ContainerText()}{meaning}");
        foreach (var pickle in audit.Pickles)
        {
            Write(output, pickle, isVerbose);
        }

        foreach (var note in audit.Notes)
        {
            output.WriteLine($"  note: {note}");
        }

        if (audit.Failure is { } failure)
        {
            output.WriteLine($"  {CodeOf(failure)}: {MessageOf(failure)}");
        }
    }

    private void Write(TextWriter output, PickleAudit pickle, bool isVerbose)
    {
        var protocol = pickle.Opcodes.IsEmpty ? "" : $", protocol {(pickle.Protocol == 0 ? "0 or 1" : pickle.Protocol)}";
        var storages = pickle.Storages.IsEmpty ? "" : $", {Sizes.Count(pickle.Storages.Length, "storage")} of {Sizes.Format(pickle.StorageBytes)}";
        output.WriteLine($"  {Quoted.Plain(pickle.Name)}: {Sizes.Format(pickle.Length)}{protocol}, {Sizes.Count(pickle.OpcodeTotal, "opcode")}{storages}");
        var globals = new TextTable("lrrl");
        if (!pickle.Globals.IsEmpty)
        {
            globals.Add("global", "times", "first at", "name");
        }

        foreach (var global in pickle.Globals.OrderByDescending(global => global.Verdict).Take(ShownGlobals))
        {
            globals.Add(NameOf(global.Verdict), Sizes.Count(global.Count), Sizes.Count(global.FirstOffset), Short(global.FullName));
        }

        globals.WriteTo(output, "    ");
        SayMore(output, pickle.Globals.Length - ShownGlobals, "global");
        foreach (var opcode in pickle.RefusedOpcodes.Take(ShownOpcodes))
        {
            output.WriteLine($"    refused  opcode {opcode.Name} at byte {Sizes.Count(opcode.Offset)}");
        }

        SayMore(output, pickle.RefusedOpcodes.Length - ShownOpcodes, "refused opcode");
        if (isVerbose)
        {
            WriteDetails(output, pickle);
        }

        if (pickle.Failure is { } failure)
        {
            output.WriteLine($"    {CodeOf(failure)}: {MessageOf(failure)}");
        }
    }

    private static void WriteDetails(TextWriter output, PickleAudit pickle)
    {
        var opcodes = new TextTable("lrl");
        foreach (var opcode in pickle.Opcodes)
        {
            opcodes.Add("opcode", Sizes.Count(opcode.Count), opcode.Name);
        }

        opcodes.WriteTo(output, "    ");
        var storages = new TextTable("lllrrl");
        foreach (var storage in pickle.Storages.Take(ShownStorages))
        {
            storages.Add(
                "storage",
                Short(storage.Key),
                Short(storage.Type),
                Sizes.Count(storage.Elements),
                Sizes.Format(storage.Bytes),
                Short(storage.Location));
        }

        storages.WriteTo(output, "    ");
        SayMore(output, pickle.Storages.Length - ShownStorages, "storage");
    }

    private static void SayMore(TextWriter output, int count, string word)
    {
        if (count > 0)
        {
            output.WriteLine($"    and {Sizes.Count(count, $"more {word}")}; --json has all");
        }
    }

    private string ContainerText() => audit.Container switch
    {
        AuditedContainer.Safetensors => "safetensors, ",
        AuditedContainer.Gguf => "gguf, ",
        AuditedContainer.TorchArchive => "pytorch archive, ",
        AuditedContainer.TorchScript => "torchscript archive, ",
        AuditedContainer.TorchStream => "pytorch stream (before 1.6), ",
        AuditedContainer.Pickle => "pickle, ",
        AuditedContainer.NumpyArray => "npy, ",
        AuditedContainer.NumpyArchive => "npz archive, ",
        AuditedContainer.ZipArchive => "zip archive, ",
        _ => "",
    };

    // Cut where it is far too long, so that one hostile name leaves the others in sight.
    private static string Short(string text) => Quoted.Name(text)[1..^1];

    private static string NameOf(AuditVerdict verdict) => verdict switch
    {
        AuditVerdict.Safe => "safe",
        AuditVerdict.UnknownGlobals => "unknown",
        AuditVerdict.Unreadable => "unreadable",
        AuditVerdict.Broken => "broken",
        _ => "unsafe",
    };

    private static string NameOf(AuditedGlobalVerdict verdict) => verdict switch
    {
        AuditedGlobalVerdict.Allowed => "allowed",
        AuditedGlobalVerdict.Unknown => "unknown",
        _ => "refused",
    };

    private static string? CodeOf(Exception? failure) => failure switch
    {
        null => null,
        CheckpointException exception => exception.Code.ToString(),
        _ => "Unreadable",
    };

    // The line above begins with the path; a message that does so too need not repeat it.
    private string MessageOf(Exception failure)
    {
        var message = Quoted.Plain(failure.Message);
        var prefix = Quoted.Plain(audit.Path) + ": ";
        return message.StartsWith(prefix, StringComparison.Ordinal) ? message[prefix.Length..] : message;
    }
}
