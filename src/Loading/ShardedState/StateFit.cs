using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Which tensor of a saved state goes into which of a model: names, dtypes and shapes, looked at before a byte is read.</summary>
internal sealed class StateFit
{
    private readonly ShardedState _state;
    private readonly ModelState _model;
    private readonly bool _allowsNarrower;
    private readonly ImmutableArray<string>.Builder _problems = ImmutableArray.CreateBuilder<string>();
    private readonly Dictionary<string, ModelStateEntry> _targets = new(StringComparer.Ordinal);

    private StateFit(ShardedState state, ModelState model, bool allowsNarrower) => (_state, _model, _allowsNarrower) = (state, model, allowsNarrower);

    /// <summary>The model's tensors that are filled, by the names that they are filled under.</summary>
    public IReadOnlyDictionary<string, ModelStateEntry> Targets => _targets;

    /// <summary>What is narrower in the files than in the model.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>Compares.</summary>
    /// <exception cref="ModelMismatchException">They do not fit; the message names all missing and unexpected names.</exception>
    /// <param name="state">The state.</param>
    /// <param name="model">The model.</param>
    /// <param name="allowsNarrower">Whether what is narrower than its parameter is loaded, with a warning.</param>
    public static StateFit Of(ShardedState state, ModelState model, bool allowsNarrower)
    {
        var fit = new StateFit(state, model, allowsNarrower);
        fit.CompareMethods();
        fit.CompareNames();
        foreach (var (name, target) in fit._targets)
        {
            fit.Compare(state.Find(name)!, target);
        }

        return fit._problems.Count == 0
            ? fit
            : throw new ModelMismatchException(
                state.Folder, fit._problems.ToImmutable(), $"Is this the state of rank {state.Rank} of that model, saved with the same number of ranks, the same quantisation and at the same step (before or after processing)?");
    }

    private void CompareMethods()
    {
        if (_state.Layout.Methods is not { } saved)
        {
            return;
        }

        foreach (var name in saved.Keys.Union(_model.Methods.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var (before, now) = (saved.GetValueOrDefault(name), _model.Methods.GetValueOrDefault(name));
            if (before != now)
            {
                _problems.Add($"module {Quoted.Name(name)} was saved with the quantisation method {(before is null ? "none" : Quoted.Name(before))} and has {(now is null ? "none" : Quoted.Name(now))}");
            }
        }
    }

    private void CompareNames()
    {
        var holding = _model.Filter();
        var missing = new List<string>();
        var (known, empty) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal));
        foreach (var entry in _model.Entries)
        {
            _ = known.Add(entry.Name);
            if (entry.Tensor.ElementCount == 0)
            {
                _ = empty.Add(entry.Name);
                if (_state.Find(entry.Name) is { Shape.ElementCount: > 0 } saved)
                {
                    Compare(saved, entry);
                }

                continue;
            }

            if (!holding.ContainsKey(entry.Name))
            {
                continue;
            }

            if (_state.Find(entry.Name) is not null)
            {
                _targets.Add(entry.Name, entry);
            }
            else if (entry.IsRequired)
            {
                missing.Add(Quoted.Name(entry.Name));
            }
        }

        string[] unexpected = [.. _state.Tensors.Where(tensor => !known.Contains(tensor.Name)).Select(tensor => Quoted.Name(tensor.Name))];
        string[] covered = [.. _state.Tensors.Where(tensor => tensor.IsStored && known.Contains(tensor.Name) && !empty.Contains(tensor.Name) && !_targets.ContainsKey(tensor.Name)).Select(tensor => Quoted.Name(tensor.Name))];
        if (missing.Count > 0)
        {
            _problems.Add($"missing keys: the model has {string.Join(", ", missing)}, and the state does not");
        }

        if (unexpected.Length > 0)
        {
            _problems.Add($"unexpected keys: the state has {string.Join(", ", unexpected)}, and the model does not");
        }

        if (covered.Length > 0)
        {
            _problems.Add($"unexpected keys: the state has {string.Join(", ", covered)} with bytes of their own, and in the model these are parts of other tensors");
        }
    }

    private void Compare(ShardedTensor saved, ModelStateEntry target)
    {
        var (name, shape) = (Quoted.Name(saved.Name), target.Tensor.Shape);
        if (saved.Shape.Rank != shape.Rank)
        {
            _problems.Add($"tensor {name} has {saved.Shape.Rank} dimensions, {saved.Shape}, and parameter {name} {shape.Rank}, {shape}");
        }
        else if (saved.Shape.Zip(shape).Any(sizes => sizes.First > sizes.Second))
        {
            _problems.Add($"tensor {name} of shape {saved.Shape} is larger than parameter {name} of shape {shape}");
        }
        else if (saved.Shape != shape)
        {
            CompareNarrower(saved, target);
        }

        if (saved.DType == target.Tensor.DType)
        {
            return;
        }

        var objection = ModuleRecord.Objection(saved.DType, target.Parameter?.Conversion ?? ParameterConversion.Any)
            ?? (ModuleRecord.Converts(saved.DType, target.Tensor.DType) ? null : "to which there is no conversion");
        if (objection is not null)
        {
            _problems.Add($"tensor {name} is {saved.DType.Name} and parameter {name} {target.Tensor.DType.Name}, {objection}");
        }
    }

    private void CompareNarrower(ShardedTensor saved, ModelStateEntry target)
    {
        var text = $"loading tensor of shape {saved.Shape} into parameter {Quoted.Name(saved.Name)} of shape {target.Tensor.Shape}";
        try
        {
            StateCopies.Narrow(target.Tensor, saved.Shape).Dispose();
            if (!_allowsNarrower)
            {
                _problems.Add($"tensor {Quoted.Name(saved.Name)} of shape {saved.Shape} is narrower than parameter {Quoted.Name(saved.Name)} of shape {target.Tensor.Shape}, and was saved with its parameter's own shape");
                return;
            }

            Warnings.Add($"{text}; the rest of it is 0");
        }
        catch (ArgumentException exception)
        {
            _problems.Add($"{text} is not possible: {exception.Message.TrimEnd('.')}");
        }
    }
}
