using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Formats;

/// <summary>Lists what a pickle would do, with nothing done. Not safe for several threads.</summary>
/// <param name="file">The file, for messages and for its size.</param>
/// <param name="limits">What is accepted; unknown globals are listed as such whether or not they are admitted.</param>
/// <param name="budget">What all pickles of the file share.</param>
internal sealed class PickleScan(CheckpointFile file, TorchLimits limits, AuditBudget budget)
{
    /// <summary>What the last pickle gave; null where it is broken.</summary>
    public object? Value { get; private set; }

    /// <summary>How many bytes the last pickle has to its STOP, or were there where it is broken.</summary>
    public int Consumed { get; private set; }

    /// <summary>Whether the last pickle turned out to be text.</summary>
    public bool IsText { get; private set; }

    /// <summary>Goes through one pickle.</summary>
    /// <param name="name">What it is called in the file.</param>
    /// <param name="offset">Where it begins in the file; null where it is compressed.</param>
    /// <param name="pickle">Its bytes, and anything behind them.</param>
    /// <param name="isTorchScript">Whether it lies in a TorchScript archive, which has classes of its own.</param>
    public PickleAudit Run(string name, long? offset, ReadOnlyMemory<byte> pickle, bool isTorchScript)
    {
        var recorder = new PickleRecorder();
        var storages = new OrderedDictionary<string, AuditedStorage>();
        CheckpointException? failure = null;
        var settings = limits.ForPickle(
            new TorchGlobals(admitsUnknown: false, isTorchScript).Verdict,
            file.Path,
            TorchConstants.Format,
            offset ?? 0,
            TorchContent.HalfOfRest(file, pickle.Length),
            recorder) with
        {
            References = Note,
            SpentBytes = budget.SpentBytes,
            SpentValues = budget.SpentValues,
        };
        var reader = new PickleReader(pickle, settings);
        Value = null;
        try
        {
            Value = reader.Read();
        }
        catch (CheckpointException exception)
        {
            failure = exception;
        }

        Consumed = reader.Position;
        var audit = new PickleAudit(name, offset, Value is null ? pickle.Length : Consumed)
        {
            Protocol = PickleStream.ProtocolOf(pickle.Span),
            Globals = Globals(recorder, isTorchScript),
            RefusedOpcodes = [.. recorder.RefusedOpcodes.Select(opcode => new AuditedOpcode(PickleOpcodes.Name(opcode.Opcode)!, opcode.Offset))],
            Opcodes = Opcodes(recorder),
            Storages = [.. storages.Values],
            Failure = failure,
        };
        budget.Spend(reader.SpentBytes, reader.SpentValues, audit);
        IsText = AuditedText.Is(audit, pickle.Span);
        return IsText
            ? new PickleAudit(name, offset, pickle.Length)
            {
                Failure = new InvalidCheckpointException(
                    CheckpointErrorCode.PickleInvalid,
                    file.Path,
                    "this is text, no pickle, and Python would import nothing from it; the file is something else than its name says: fetch it again.",
                    TorchConstants.Format,
                    offset),
            }
            : audit;

        object Note(PickleStorageReference reference)
        {
            // As TorchFormat reads it: a class with its source, of which nothing is looked at.
            if (reference.Id.Items is ["module", PickleGlobal module, ..])
            {
                return module;
            }

            var id = TorchStorageId.Parse(reference, file, null);
            var items = reference.Id.Items;
            storages.TryAdd(id.Key, new AuditedStorage(
                id.Key,
                items[1] is PickleGlobal type ? type.Name : Convert.ToString(items[1], CultureInfo.InvariantCulture)!,
                items[4] is long elements ? elements : 0,
                id.ByteLength,
                items[3] as string ?? ""));
            return reference;
        }
    }

    /// <summary>What is kept of the globals that were noted, each once.</summary>
    public static ImmutableArray<AuditedGlobal> Globals(PickleRecorder recorder, bool isTorchScript)
    {
        var lenient = new TorchGlobals(admitsUnknown: true, isTorchScript);
        var globals = new OrderedDictionary<(string, string), AuditedGlobal>();
        foreach (var global in recorder.Globals)
        {
            var key = (global.Module, global.Name);
            if (globals.TryGetValue(key, out var known))
            {
                globals[key] = known with { Count = known.Count + 1 };
                continue;
            }

            var verdict = global.Verdict.IsAllowed ? AuditedGlobalVerdict.Allowed
                : lenient.Verdict(global.Module, global.Name).IsAllowed ? AuditedGlobalVerdict.Unknown
                : AuditedGlobalVerdict.Refused;
            globals.Add(key, new AuditedGlobal(global.Module, global.Name, 1, global.Offset, verdict, global.Verdict.Refusal));
        }

        return [.. globals.Values];
    }

    private static ImmutableArray<OpcodeCount> Opcodes(PickleRecorder recorder) =>
    [
        .. Enumerable.Range(0, byte.MaxValue + 1)
            .Select(value => (PickleOpcode)value)
            .Select(opcode => new OpcodeCount(
                PickleOpcodes.Name(opcode) ?? string.Create(CultureInfo.InvariantCulture, $"0x{(byte)opcode:x2}"), recorder.Count(opcode)))
            .Where(opcode => opcode.Count > 0)
            .OrderByDescending(opcode => opcode.Count),
    ];
}
