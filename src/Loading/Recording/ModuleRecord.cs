using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which weights go where in a model's parameters: the loaders run on the meta device, and what they write is kept. Finds what nothing fills, what nothing takes and what is filled
/// twice. Not safe for several threads.
/// </summary>
internal sealed class ModuleRecord : IDisposable
{
    private readonly Module _module;
    private readonly ModuleLoadOptions _options;
    private readonly string? _file;
    private readonly TensorChoice _choice;
    private readonly (string Name, Parameter Parameter)[] _parameters;
    private readonly Dictionary<Parameter, int> _numbers = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<DeviceMemory, int> _indexes = new(ReferenceEqualityComparer.Instance);
    private readonly Tensor[] _metas;
    private readonly List<ParameterSource>[] _sources;
    private readonly ParameterCoverage[] _coverage;
    private readonly HashSet<(int Parameter, ShardId Shard)> _trusted = [];
    private readonly List<string> _weights = [];
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private readonly List<(string Name, string InModel, Shape Shape)> _unexpected = [];
    private readonly List<SkippedWeight> _skipped = [];

    /// <summary>Begins with parameters that nothing fills.</summary>
    /// <param name="module">The model; its parameters have their full names from now on.</param>
    /// <param name="options">What is chosen, and how names change.</param>
    /// <param name="file">The checkpoint, for messages.</param>
    public ModuleRecord(Module module, ModuleLoadOptions options, string? file)
    {
        (_module, _options, _file) = (module, options, file);
        _choice = new TensorChoice(options.Load.Include, options.Load.Exclude);
        _parameters = [.. module.NamedParameters()];
        _metas = new Tensor[_parameters.Length];
        _sources = new List<ParameterSource>[_parameters.Length];
        _coverage = new ParameterCoverage[_parameters.Length];
        for (var i = 0; i < _parameters.Length; i++)
        {
            var (name, parameter) = _parameters[i];
            parameter.Name = name;
            _numbers.Add(parameter, i);
            // Beside its own: that may have storage by now, or share it with another's.
            _metas[i] = Tensor.Empty(parameter.DType, parameter.Shape, MetaDevice.Shared);
            _indexes.Add(_metas[i].Memory, i);
            (_sources[i], _coverage[i]) = ([], new ParameterCoverage(parameter.Shape));
        }
    }

    /// <summary>The weights that the model knows and has no use for.</summary>
    public ImmutableArray<SkippedWeight> Skipped => [.. _skipped];

    /// <summary>The weights that go into no parameter.</summary>
    public ImmutableArray<string> Unexpected => [.. _unexpected.Select(weight => weight.Name)];

    /// <summary>The parameters and what fills them.</summary>
    public ImmutableArray<PlannedParameter> Parameters =>
        [.. Enumerable.Range(0, _parameters.Length).Select(ParameterAt)];

    /// <summary>Finds where a weight goes; nowhere where it is not chosen, skipped or unknown, which is noted.</summary>
    public ImmutableArray<WeightTarget> Route(Weight weight)
    {
        if (!_choice.Includes(weight.Name))
        {
            return [];
        }

        if ((_options.Rename is { } rename ? rename(weight.Name) : weight.Name) is not { } name)
        {
            _skipped.Add(new SkippedWeight(weight.Name, "the map of names leaves it out"));
            return [];
        }

        var route = _module.Route(name);
        if (!route.Targets.IsEmpty)
        {
            _ = _taken.Add(name);
        }

        if (route.IsUnknown)
        {
            _unexpected.Add((weight.Name, name, weight.Shape));
        }
        else if (route.SkippedSince is { } reason)
        {
            _skipped.Add(new SkippedWeight(weight.Name, reason));
        }

        return route.Targets;
    }

    /// <summary>Runs a loader, and notes what it writes.</summary>
    /// <param name="weight">A weight without values: lazy, or on the meta device.</param>
    /// <param name="target">Where it goes.</param>
    /// <returns>What it writes, and whether it asks for values; null where it does not fit, which is noted.</returns>
    public RecordedCall? Run(Weight weight, WeightTarget target)
    {
        var parameter = target.Parameter;
        if (!_numbers.TryGetValue(parameter, out var index))
        {
            throw new InvalidOperationException($"The model routes {Quoted.Name(weight.Name)} to a parameter that is not among its own.");
        }

        if (Objection(weight, parameter) is { } objection)
        {
            _problems.Add(objection);
            return null;
        }

        var needsValues = weight.Stored?.Transform.ChangesValues == true;
        // Of values that the loader looks at before it writes, it is not known what it will write.
        var isCounted = true;
        using var recorder = new MetaRecorder();
        var before = parameter.Exchange(_metas[index]);
        try
        {
            parameter.Load(weight, target.Shard);
        }
        catch (ValuesRequiredException exception)
        {
            needsValues = true;
            isCounted = exception.Weight is null && recorder.ElementCount > 0;
        }
        catch (ModelMismatchException exception)
        {
            _problems.AddRange(exception.Problems);
            return null;
        }
        catch (ArgumentException exception)
        {
            // A part that is not within the weight, dimensions that are not there.
            _problems.Add(
                $"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape} does not fit parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape}"
                + $"{(target.Shard == ShardId.None ? "" : $" as {target.Shard}")}: {exception.Message}");
            return null;
        }
        finally
        {
            _ = parameter.Exchange(before);
        }

        return Note(weight, target, recorder.Writes, needsValues, isCounted);
    }

    /// <summary>Notes a weight of several tensors, of which only its loader knows what it writes.</summary>
    public void Trust(Weight weight, WeightTarget target)
    {
        _weights.Add(weight.Name);
        AddSource(weight.Name, target, _numbers[target.Parameter], 0, isCounted: false);
    }

    /// <summary>A parameter's index in the model's order; null for one that is not among its own.</summary>
    public int? IndexOf(Parameter parameter) => _numbers.TryGetValue(parameter, out var index) ? index : null;

    /// <summary>A parameter, and what fills it so far.</summary>
    public PlannedParameter ParameterAt(int index) =>
        new(_parameters[index].Name, _metas[index].DType, _metas[index].Shape, [.. _sources[index]], _parameters[index].Parameter.IsRequired);

    /// <summary>Throws what was found wrong so far.</summary>
    /// <exception cref="ModelMismatchException">A weight does not fit.</exception>
    public void ThrowIfWrong()
    {
        if (_problems.Count > 0)
        {
            throw new ModelMismatchException(_file, [.. _problems], "Is this the model's checkpoint, and its config.json?");
        }
    }

    /// <summary>Throws what was found wrong, and scales and zero points that no parameter takes, whose weights mean something else without them.</summary>
    /// <exception cref="ModelMismatchException">A weight does not fit.</exception>
    public void ThrowIfCompanionsAreLeft()
    {
        _problems.AddRange(_unexpected.Where(IsCompanion).Select(weight =>
            $"tensor {Quoted.Name(weight.Name)} goes into no parameter, and without it the weight beside it means something else: is the model quantised, and does its configuration say how?"));
        ThrowIfWrong();
    }

    /// <summary>The full name of a parameter.</summary>
    public string NameOf(int parameter) => _parameters[parameter].Name;

    /// <summary>Looks at the whole: throws what is wrong, and where it is lenient warns of what is missing or left over.</summary>
    /// <exception cref="ModelMismatchException">The checkpoint and the model do not fit; the message names what does not.</exception>
    public void Check()
    {
        ThrowIfCompanionsAreLeft();
        List<string> gaps = [.. Parameters.Where(parameter => parameter.IsMissing).Select(Describe)];
        gaps.AddRange(_unexpected.Select(weight => $"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape} goes into no parameter"));
        if (gaps.Count == 0)
        {
            return;
        }

        if (_options.IsStrict)
        {
            throw new ModelMismatchException(
                _file, [.. gaps], $"Where they are called otherwise, give a map of names (--map, {nameof(ModuleLoadOptions.Rename)}); to take what fits, load leniently (--tolerant, {nameof(ModuleLoadOptions.IsStrict)}).");
        }

        foreach (var gap in gaps)
        {
            _options.Warnings?.WarnOnce(gap);
        }
    }

    /// <summary>Frees the meta tensors; what was recorded stays valid.</summary>
    public void Dispose()
    {
        foreach (var meta in _metas)
        {
            meta.Dispose();
        }
    }

    // Scales and zero points, as quantisers name them beside the weight that they belong to.
    private bool IsCompanion((string Name, string InModel, Shape Shape) weight)
    {
        var dot = weight.InModel.LastIndexOf('.') + 1;
        return weight.InModel[dot..] is "weight_scale" or "weight_scale_inv" or "weight_zero_point" or "scale_inv" && _taken.Contains(weight.InModel[..dot] + "weight");
    }

    /// <summary>What is missing of a parameter, in a few words for a message.</summary>
    internal static string Describe(PlannedParameter parameter) =>
        parameter.WrittenElements == 0
            ? $"nothing fills parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape}"
            : $"only {parameter.WrittenElements} of the {parameter.Shape.ElementCount} elements of parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape} are filled, by "
                + string.Join(" and ", parameter.Sources.Select(source => Quoted.Name(source.Weight)));

    private RecordedCall Note(Weight weight, WeightTarget target, IReadOnlyList<RecordedWrite> writes, bool needsValues, bool isCounted)
    {
        _weights.Add(weight.Name);
        var number = _weights.Count - 1;
        var places = new List<(RecordedWrite Write, ParameterPlace Place)>(writes.Count);
        var written = new Dictionary<int, long>();
        foreach (var write in writes)
        {
            if (!_indexes.TryGetValue(write.Destination.Memory, out var index) || (write.Source is { } source && !ReferenceEquals(source.Memory, weight.Tensor.Memory)))
            {
                // A copy that the loader made of the weight for itself, which has no values now.
                throw NoValues(weight, target);
            }

            if (write.Source is not null && !Converts(weight.DType, write.Destination.DType))
            {
                _problems.Add(Objection(weight, _parameters[index].Parameter, "to which there is no conversion"));
                return new RecordedCall([], needsValues, index => _metas[index].Shape);
            }

            var place = ParameterPlace.Of(index, write.Destination);
            places.Add((write, place));
            written[index] = written.GetValueOrDefault(index) + _coverage[index].Add(place, number, out var other);
            if (other >= 0)
            {
                _problems.Add(
                    $"parameter {Quoted.Name(_parameters[index].Name)} is filled twice, by tensor {Quoted.Name(_weights[other])} and by tensor {Quoted.Name(weight.Name)}");
            }
        }

        var own = _numbers[target.Parameter];
        _ = written.TryAdd(own, 0);
        foreach (var (index, elements) in written)
        {
            AddSource(weight.Name, target, index, elements, isCounted || index != own);
        }

        return new RecordedCall(places, needsValues, index => _metas[index].Shape);
    }

    private void AddSource(string weight, WeightTarget target, int index, long elements, bool isCounted)
    {
        if (!isCounted && !_trusted.Add((index, target.Shard)))
        {
            _problems.Add(
                $"parameter {Quoted.Name(_parameters[index].Name)} is filled twice{(target.Shard == ShardId.None ? "" : $" as {target.Shard}")}, the second time by tensor {Quoted.Name(weight)}");
        }

        _sources[index].Add(new ParameterSource(weight, target.Shard, elements) { IsCounted = isCounted });
    }

    // What a conversion would make of the stored numbers has to be what they mean.
    private static string? Objection(Weight weight, Parameter parameter)
    {
        var (stored, target) = (weight.DType, parameter.DType);
        if (stored == target || weight.Components is not null)
        {
            return null;
        }

        var problem = Objection(stored, parameter.Conversion);
        return problem is null ? null : Objection(weight, parameter, problem);
    }

    /// <summary>Why a parameter does not take values of another dtype than its own; null where it does.</summary>
    /// <param name="stored">That dtype.</param>
    /// <param name="conversion">What the parameter takes.</param>
    internal static string? Objection(DType stored, ParameterConversion conversion) =>
        conversion == ParameterConversion.None ? "which it is not converted to, since its bits have a meaning of their own"
            : conversion == ParameterConversion.FromFloats && !stored.HoldsFloats ? "and whole numbers are no weights without what scales them: is the model quantised, and does its configuration say how?"
            : null;

    private static string Objection(Weight weight, Parameter parameter, string problem) =>
        $"tensor {Quoted.Name(weight.Name)} is {weight.DType.Name} and parameter {Quoted.Name(parameter.Name)} {parameter.DType.Name}, {problem}";

    /// <summary>Whether there is a conversion.</summary>
    internal static bool Converts(DType stored, DType target) =>
        stored == target || (Codecs.Of(stored) is { ValuesPerElement: 1 } codec && codec.CanDecodeTo(target));

    private static InvalidOperationException NoValues(Weight weight, WeightTarget target) => new(
        $"The loader of parameter {target.Parameter.Name} copies something other than {weight.Name} itself; "
        + $"values that it computes are taken from {nameof(Weight)}.{nameof(Weight.Materialize)}.");
}
