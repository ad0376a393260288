using System.Text.RegularExpressions;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Formats;

/// <summary>Goes through an array of NumPy's: where its elements are objects, they are a pickle behind the header.</summary>
/// <param name="file">The file.</param>
/// <param name="options">What is accepted.</param>
/// <param name="found">Takes what is found.</param>
/// <param name="budget">What all pickles of the file share.</param>
internal sealed partial class ArrayScan(CheckpointFile file, CheckpointOptions options, AuditFindings found, AuditBudget budget)
{
    private readonly PickleScan _scan = new(file, options.Torch, budget);

    /// <summary>Goes through one array.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="source">Where its bytes are.</param>
    /// <param name="start">Where it begins there.</param>
    /// <param name="length">Its size in bytes, with its header.</param>
    /// <param name="offset">Where it begins in the file; null where it is compressed.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    public async ValueTask RunAsync(string name, IByteSource source, long start, long length, long? offset, CancellationToken cancellationToken)
    {
        var place = new NpyPlace(file.Path, NumpyConstants.Array, name, offset);
        var fields = await NpyHeaderReader.ReadFieldsAsync(source, start, length, place, options.Numpy, cancellationToken).ConfigureAwait(false);
        if (!HoldsObjects(fields.Values["descr"]))
        {
            return;
        }

        var end = fields.End;
        if (length - end > options.Torch.MaximumPickleBytes)
        {
            throw new CheckpointLimitException(
                "length of a pickle in bytes",
                length - end,
                options.Torch.MaximumPickleBytes,
                $"{nameof(TorchLimits)}.{nameof(TorchLimits.MaximumPickleBytes)}",
                file.Path,
                NumpyConstants.Array);
        }

        if (offset is null)
        {
            budget.Inflate(name, length);
        }

        found.Notes.Add($"the elements of array {Quoted.Name(name)} are Python objects: its data is a pickle.");
        var pickle = new byte[(int)(length - end)];
        await source.ReadExactlyAsync(start + end, pickle, cancellationToken).ConfigureAwait(false);
        found.Pickles.Add(_scan.Run(name, offset + end, pickle, isTorchScript: false));
        if (_scan.Value is not null && _scan.Consumed < pickle.Length)
        {
            found.Notes.Add($"{pickle.Length - _scan.Consumed} bytes follow the pickle of {Quoted.Name(name)}.");
        }
    }

    // The types without objects as NumPy writes them. It reads many more spellings ('object_', 'i4,O', '(1,)O'), which nobody can list.
    [GeneratedRegex(@"\A[<>=|]?[biufcSUVmM?][0-9]*(\[[^\]]*\])?\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Plain { get; }

    // NumPy's dtype.hasobject: also of one field among many, and of what is nested in it. What is neither a plain type, nor a type
    // with a shape, nor a list of fields nobody knows, so that what follows is looked at.
    private static bool HoldsObjects(object? type) => type switch
    {
        string text => !Plain.IsMatch(text),
        NpySequence { IsTuple: true, Items: [var inner, var shape] } when IsShape(shape) => HoldsObjects(inner),
        NpySequence { IsTuple: false } fields => fields.Items.Any(field => field is not NpySequence { Items: [_, var inner, ..] items }
            || HoldsObjects(inner) || !items.Skip(2).All(IsShape)),
        _ => true,
    };

    // What stands there in place of a shape is another type to NumPy, which the first is taken for.
    private static bool IsShape(object? shape) => shape is long || (shape is NpySequence { IsTuple: true } sizes && sizes.Items.All(size => size is long));
}
